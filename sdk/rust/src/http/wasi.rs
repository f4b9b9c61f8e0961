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
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
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
    let body = outgoing.body().map_err(|()| broken("the body was taken"))?;
    let answer = outgoing_handler::handle(outgoing, None).map_err(|code| error(&code))?;
    {
        let stream = body.write().map_err(|()| broken("the body was taken"))?;
        for chunk in request.body.chunks(CHUNK) {
            // The host may answer before it read everything; the answer then says more than this.
            if stream.blocking_write_and_flush(chunk).is_err() {
                break;
            }
        }
    }
    drop(OutgoingBody::finish(body, None));
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

fn error(code: &ErrorCode) -> Error {
    match code {
        ErrorCode::HttpRequestDenied => Error::Denied("it may not go there, or not so".into()),
        ErrorCode::DestinationIpProhibited => Error::Denied("the address is not open to connectors".into()),
        ErrorCode::HttpRequestMethodInvalid => Error::Denied("the method is not allowed".into()),
        ErrorCode::HttpRequestUriInvalid => Error::Denied("the URL is not allowed".into()),
        ErrorCode::DnsError(payload) => {
            Error::Unreachable(payload.rcode.clone().unwrap_or_else(|| "its name has no address".into()))
        }
        ErrorCode::DnsTimeout => Error::Unreachable("its name was not resolved in time".into()),
        ErrorCode::ConnectionRefused | ErrorCode::DestinationNotFound | ErrorCode::DestinationUnavailable => {
            Error::Unreachable("no connection".into())
        }
        ErrorCode::ConnectionTimeout => Error::Unreachable("no connection in time".into()),
        ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionReadTimeout => {
            Error::Unreachable("no answer in time".into())
        }
        ErrorCode::TlsCertificateError | ErrorCode::TlsProtocolError => {
            Error::Unreachable("its certificate is not trusted".into())
        }
        ErrorCode::InternalError(Some(words)) => Error::Broken(words.clone()),
        other => Error::Broken(format!("{other:?}")),
    }
}
