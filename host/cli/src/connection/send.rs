//! `turnbuckle connection send`: the body to standard output as it comes, byte for byte.

use axum::body::Body;
use futures_util::StreamExt as _;
use http::{HeaderName, HeaderValue, Method, Response};

use crate::args::connection::Send;
use crate::client::{Client, problem};
use crate::exit::Error;
use crate::output::Output;

/// Headers of the request to the service travel under this prefix, so that they do not meet those of the API.
const FORWARDED: &str = "turnbuckle-header-";
/// An answer with this header is the service's own, whatever its status.
const MARK: &str = "turnbuckle-send";
/// What the answer means, where it means a failure.
const FAILURE: &str = "turnbuckle-failure";
/// Names the headers that the service sent, beside those that the API adds.
const NAMES: &str = "turnbuckle-send-headers";

pub(crate) async fn run(send: Send, client: &Client, output: Output) -> Result<(), Error> {
    let (method, path) = target(&send.request, send.body.is_some())?;
    let mut call = client.call(method, &["connections", &send.key, "send"]).query("url", Some(path));
    for text in &send.header {
        let (name, value) = header(text)?;
        call = call.header(name, value);
    }
    if let Some(body) = &send.body {
        call = call.body_alone(body_of(body).await?);
    }
    let response = call.response().await?;
    if !response.headers().contains_key(MARK) {
        return Err(problem(response).await);
    }
    answer(response, send.include, output).await
}

async fn answer(response: Response<Body>, include: bool, output: Output) -> Result<(), Error> {
    let status = response.status();
    let failure = response.headers().get(FAILURE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
    if include {
        output.bytes(head(&response).as_bytes())?;
    }
    let mut body = response.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| anyhow::Error::from(error).context("the answer broke off"))?;
        output.bytes(&chunk)?;
    }
    match failure {
        Some(failure) => output.note(&format!("the service answered {status}, which means {failure}")),
        None if !include && !status.is_success() => output.note(&format!("the service answered {status}")),
        None => {}
    }
    Ok(())
}

fn head(response: &Response<Body>) -> String {
    let mut text = format!("HTTP/1.1 {}\r\n", response.status());
    let named = response.headers().get(NAMES).and_then(|names| names.to_str().ok()).unwrap_or_default();
    let own: Vec<_> = named.split(", ").collect();
    for (name, value) in response.headers().iter().filter(|(name, _)| own.contains(&name.as_str())) {
        text.push_str(&format!("{name}: {}\r\n", crate::show::line(&String::from_utf8_lossy(value.as_bytes()))));
    }
    text.push_str("\r\n");
    text
}

/// `PATH`, or `METHOD PATH`; with a body the method is POST where none is given.
fn target(words: &[String], with_body: bool) -> Result<(Method, String), Error> {
    match words {
        [path] => Ok((if with_body { Method::POST } else { Method::GET }, path.clone())),
        [method, path] => {
            let method = method.to_uppercase().parse();
            let method =
                method.map_err(|_not_a_token| Error::input(format!("`{}` is not an HTTP method", words[0])))?;
            Ok((method, path.clone()))
        }
        _ => Err(Error::input("write PATH, or METHOD PATH")),
    }
}

/// A header as it is typed. Two of them say how the body reads and travel as they are; the others are forwarded.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let Some((name, value)) = text.split_once(':') else {
        return Err(Error::input_hint("a header has no value", "write -H 'name: value'"));
    };
    let name = name.trim().to_lowercase();
    let travels = match name.as_str() {
        "content-type" | "accept" => name.clone(),
        _ => format!("{FORWARDED}{name}"),
    };
    let travels = HeaderName::try_from(travels)
        .map_err(|_illegal| Error::input(format!("`{name}` is not the name of a header")))?;
    let value = HeaderValue::from_str(value.trim())
        .map_err(|_illegal| Error::input(format!("the header `{name}` has characters that no header has")))?;
    Ok((travels, value))
}

async fn body_of(text: &str) -> Result<Body, Error> {
    if text == "-" {
        return Ok(Body::from_stream(crate::progress::chunks(tokio::io::stdin(), |_| {})));
    }
    match text.strip_prefix('@') {
        None => Ok(Body::from(text.to_owned())),
        Some(path) => {
            let file = tokio::fs::File::open(path).await;
            let file = file.map_err(|error| Error::input(format!("the file {path} can't be read: {error}")))?;
            Ok(Body::from_stream(crate::progress::chunks(file, |_| {})))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_may_stand_before_the_path() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let target = |text: &[&str], body| target(&words(text), body).map_err(|error| error.to_string());
        assert_eq!(target(&["/v2/"], false), Ok((Method::GET, "/v2/".into())));
        assert_eq!(target(&["/v2/"], true), Ok((Method::POST, "/v2/".into())));
        assert_eq!(target(&["delete", "/v2/x"], false), Ok((Method::DELETE, "/v2/x".into())));
        assert_eq!(target(&["G ET", "/"], false), Err("`G ET` is not an HTTP method".into()));
    }

    #[test]
    fn headers_are_forwarded_under_a_prefix_but_those_of_the_body() {
        let header = |text| header(text).map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
        assert_eq!(header("X-Trace:  7 ").unwrap(), "turnbuckle-header-x-trace=7");
        assert_eq!(header("Accept: text/plain").unwrap(), "accept=text/plain");
        assert_eq!(header("nothing").unwrap_err().to_string(), "a header has no value");
        assert_eq!(header("a b: c").unwrap_err().to_string(), "`a b` is not the name of a header");
    }
}
