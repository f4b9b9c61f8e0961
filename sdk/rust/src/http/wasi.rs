//! Requests over `wasi:http`, without an asynchronous runtime: a connector waits for one answer at a time.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

use super::{Error, Request, Response};

/// What one write to a stream may carry.
const CHUNK: usize = 4096;

pub(super) fn send(request: &Request) -> Result<Response, Error> {
    let broken = |what: &str| Error::Broken(what.to_owned());
    let (scheme, rest) = request.url.split_once("://").ok_or_else(|| broken("the URL has no scheme"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let mut headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let has_length = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if !request.body.is_empty() && !has_length {
        // Many a service refuses a body of unknown length.
        headers.push(("content-length".to_owned(), request.body.len().to_string().into_bytes()));
    }
    let fields =
        Fields::from_list(&headers).map_err(|_refused| Error::Denied("a header that only the host sets".into()))?;
    let outgoing = OutgoingRequest::new(fields);
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => Scheme::Other(other.to_owned()),
    };
    outgoing.set_method(&method(&request.method)).map_err(|()| broken("the method is not one"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| broken("the URL's scheme is not one"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| broken("the URL's host is not one"))?;
    outgoing.set_path_with_query(Some(&path)).map_err(|()| broken("the URL's path is not one"))?;
    let answer = if request.body.is_empty() && !has_length {
        // A body that is not taken is none: nothing of it needs to be made, written and finished.
        outgoing_handler::handle(outgoing, None).map_err(|code| error(&code))?
    } else {
        let body = outgoing.body().map_err(|()| broken("the body was taken"))?;
        let answer = outgoing_handler::handle(outgoing, None).map_err(|code| error(&code))?;
        write(&body, &request.body)?;
        drop(OutgoingBody::finish(body, None));
        answer
    };
    answer.subscribe().block();
    let response = match answer.get() {
        Some(Ok(answered)) => answered.map_err(|code| error(&code))?,
        Some(Err(())) | None => return Err(broken("no answer")),
    };
    let headers = response.headers().entries();
    let headers =
        headers.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect();
    let incoming = response.consume().map_err(|()| broken("the answer's body was taken"))?;
    let stream = incoming.stream().map_err(|()| broken("the answer's body was taken"))?;
    let mut body = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(bytes) => body.extend(bytes),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(cause)) => {
                return Err(match wasip2::http::types::http_error_code(&cause) {
                    Some(code) => error(&code),
                    None => broken("the answer broke off"),
                });
            }
        }
    }
    Ok(Response { status: response.status(), headers, body })
}

fn write(body: &OutgoingBody, bytes: &[u8]) -> Result<(), Error> {
    let stream = body.write().map_err(|()| Error::Broken("the body was taken".to_owned()))?;
    for chunk in bytes.chunks(CHUNK) {
        // The host may answer before it read everything; the answer then says more than this.
        if stream.blocking_write_and_flush(chunk).is_err() {
            break;
        }
    }
    Ok(())
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

/// What a host may answer instead of a response, in words for the person who made the connection. The rule that denied a
/// request is the host's to tell.
fn error(code: &ErrorCode) -> Error {
    let denied = |words: &str| Error::Denied(words.to_owned());
    let unreachable = |words: &str| Error::Unreachable(words.to_owned());
    let timed_out = |words: &str| Error::TimedOut(words.to_owned());
    let broken = |words: &str| Error::Broken(words.to_owned());
    match code {
        ErrorCode::HttpRequestDenied => denied("it may not go there, or not in this way"),
        ErrorCode::DestinationIpProhibited => denied("the address is not open to connectors"),
        ErrorCode::HttpRequestMethodInvalid => denied("the method is not allowed"),
        ErrorCode::HttpRequestUriInvalid => denied("the URL is not allowed"),
        ErrorCode::DnsError(payload) => match &payload.rcode {
            Some(words) => unreachable(words),
            None => unreachable("its name has no address"),
        },
        ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionLimitReached => unreachable("no connection"),
        ErrorCode::ConnectionTerminated => unreachable("the connection broke off"),
        ErrorCode::TlsProtocolError | ErrorCode::TlsCertificateError | ErrorCode::TlsAlertReceived(_) => {
            unreachable("no trusted connection")
        }
        ErrorCode::DnsTimeout => timed_out("its name was not resolved in time"),
        ErrorCode::ConnectionTimeout => timed_out("no connection in time"),
        ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionWriteTimeout | ErrorCode::HttpResponseTimeout => {
            timed_out("no answer in time")
        }
        ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_) => broken("it is larger than allowed"),
        ErrorCode::HttpResponseHeaderSectionSize(_)
        | ErrorCode::HttpResponseHeaderSize(_)
        | ErrorCode::HttpResponseBodySize(_)
        | ErrorCode::HttpResponseTrailerSectionSize(_)
        | ErrorCode::HttpResponseTrailerSize(_) => broken("the answer is larger than allowed"),
        ErrorCode::HttpResponseIncomplete
        | ErrorCode::HttpResponseTransferCoding(_)
        | ErrorCode::HttpResponseContentCoding(_)
        | ErrorCode::HttpUpgradeFailed
        | ErrorCode::HttpProtocolError => broken("the answer is not HTTP or broke off"),
        ErrorCode::LoopDetected | ErrorCode::ConfigurationError => broken("the host is set up wrongly"),
        ErrorCode::InternalError(words) => broken(words.as_deref().unwrap_or("the host does not say why")),
    }
}
