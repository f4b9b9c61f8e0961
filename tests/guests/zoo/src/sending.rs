//! Attacks by requests, and on whoever answers.

use guest_kit::{Failure, FailureKind, failure, http::Request};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};

/// The whole answer, as a guest sees it: status, headers, body, trailers; from its end to its beginning, for the host looks
/// for secrets in what a guest says, and this is about what it saw.
pub(crate) fn ask(url: &str) -> Result<String, Failure> {
    let answer = Request::new("GET", url).send().map_err(|error| failure(FailureKind::Unavailable, error))?;
    let mut seen = format!("{}\n", answer.status);
    for (name, value) in answer.headers.iter().chain(&answer.trailers) {
        seen.push_str(&format!("{name}: {value}\n"));
    }
    // Only so much of a fact is kept.
    seen.push_str(&answer.text().chars().take(500).collect::<String>());
    Ok(seen.chars().rev().collect())
}

/// One request after the other; the first refusal stands beside.
pub(crate) fn many(url: &str) -> String {
    let mut answered = 0;
    let mut refused = None;
    for number in 0..10_000 {
        match Request::new("GET", &format!("{url}/many/{number}")).send() {
            Ok(_answer) => answered += 1,
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    format!("{answered} of 10000 were answered; then {}", refused.unwrap_or_default())
}

/// A body without end. A deaf one goes on though nobody takes it any more.
pub(crate) fn upload(url: &str, deaf: bool) -> Result<String, Failure> {
    let (asked, body) = begin(url, "/upload", &Method::Post);
    let chunk = [b'a'; 4096];
    let stream = body.write().map_err(|()| failure(FailureKind::Other, "no stream"))?;
    let mut taken = 0_u64;
    loop {
        match stream.blocking_write_and_flush(&chunk) {
            Ok(()) => taken += 1,
            Err(_closed) if deaf => {}
            Err(_closed) => break,
        }
    }
    drop(stream);
    drop(OutgoingBody::finish(body, None));
    asked.subscribe().block();
    let said = match asked.get() {
        Some(Ok(Err(error))) => format!("{error:?}"),
        _ => "it was answered".into(),
    };
    Err(failure(FailureKind::Unavailable, format!("after {} KiB: {said}", taken * 4)))
}

/// Asks for endless answers and reads none of them.
pub(crate) fn ignore(url: &str) -> String {
    let ask = |_number| {
        let (asked, body) = begin(url, "/answer/endless", &Method::Get);
        drop(OutgoingBody::finish(body, None));
        asked
    };
    let asked: Vec<_> = (0..31).map(ask).collect();
    let unread: Vec<_> = asked.iter().filter_map(answer).collect();
    format!("{} answers are left unread", unread.len())
}

/// Asks for as much of an endless answer as there are numbers.
pub(crate) fn read(url: &str) -> Result<String, Failure> {
    let (asked, body) = begin(url, "/answer/endless", &Method::Get);
    drop(OutgoingBody::finish(body, None));
    let other = |said: &str| failure(FailureKind::Other, said);
    let incoming = answer(&asked).ok_or_else(|| other("no answer"))?.consume().map_err(|()| other("no body"))?;
    let stream = incoming.stream().map_err(|()| other("no stream"))?;
    let read = stream.blocking_read(u64::MAX).map_err(|error| other(&error.to_string()))?;
    let less = if read.len() < 1 << 20 { "less" } else { "too much" };
    Ok(format!("{less} came than was asked for"))
}

/// Lets the host write as many zeros as there are numbers.
pub(crate) fn write(url: &str) -> Result<String, Failure> {
    let (_asked, body) = begin(url, "/upload", &Method::Post);
    let stream = body.write().map_err(|()| failure(FailureKind::Other, "no stream"))?;
    Ok(format!("{:?}", stream.write_zeroes(u64::MAX)))
}

/// A request of which two readers might think differently: what became of it.
pub(crate) fn smuggle(url: &str, written: impl Fn(Request) -> Request) -> String {
    match written(Request::new("GET", &format!("{url}/"))).send() {
        Ok(answer) => format!("it was answered by {}", answer.status),
        Err(refused) => refused,
    }
}

fn answer(asked: &FutureIncomingResponse) -> Option<IncomingResponse> {
    asked.subscribe().block();
    asked.get()?.ok()?.ok()
}

fn begin(url: &str, path: &str, method: &Method) -> (FutureIncomingResponse, OutgoingBody) {
    let outgoing = OutgoingRequest::new(Fields::new());
    let authority = url.split_once("://").unwrap_or_default().1;
    let written = outgoing
        .set_method(method)
        .and_then(|()| outgoing.set_scheme(Some(&Scheme::Http)))
        .and_then(|()| outgoing.set_authority(Some(authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(path)));
    written.expect("a request that may be written");
    let body = outgoing.body().expect("its body");
    (outgoing_handler::handle(outgoing, None).expect("it may be sent"), body)
}
