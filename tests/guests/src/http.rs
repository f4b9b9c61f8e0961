//! Requests over `wasi:http`, part by part as a guest wants them: nothing is checked, escaped or joined here.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme, http_error_code,
};
use wasip2::io::streams::StreamError;

/// A request, taken to pieces.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub scheme: String,
    pub authority: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Request {
    pub fn new(method: &str, url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        Self {
            method: method.into(),
            scheme: scheme.into(),
            authority: authority.into(),
            path: path.into(),
            headers: vec![],
            body: vec![],
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Either the whole answer or who refused what, such as `ErrorCode::HttpRequestDenied` or `headers: Forbidden`.
    pub fn send(&self) -> Result<Response, String> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        let fields = Fields::from_list(&headers).map_err(|error| format!("headers: {error:?}"))?;
        let outgoing = OutgoingRequest::new(fields);
        let refused = |part: &'static str| move |()| format!("{part}: refused");
        outgoing.set_method(&method(&self.method)).map_err(refused("method"))?;
        outgoing.set_scheme(Some(&scheme(&self.scheme))).map_err(refused("scheme"))?;
        outgoing.set_authority(Some(&self.authority)).map_err(refused("authority"))?;
        outgoing.set_path_with_query(Some(&self.path)).map_err(refused("path"))?;
        let body = outgoing.body().map_err(refused("body"))?;
        let answer = outgoing_handler::handle(outgoing, None).map_err(|error| code(&error))?;
        {
            let stream = body.write().map_err(refused("body"))?;
            for chunk in self.body.chunks(4096) {
                // The answer says what became of a body that was not read.
                if stream.blocking_write_and_flush(chunk).is_err() {
                    break;
                }
            }
        }
        drop(OutgoingBody::finish(body, None));
        answer.subscribe().block();
        let response = match answer.get() {
            Some(Ok(answered)) => answered.map_err(|error| code(&error))?,
            Some(Err(())) | None => return Err("no answer".into()),
        };
        let headers = texts(response.headers());
        let incoming = response.consume().map_err(refused("answer"))?;
        let stream = incoming.stream().map_err(refused("answer"))?;
        let mut body = Vec::new();
        loop {
            match stream.blocking_read(64 * 1024) {
                Ok(bytes) => body.extend(bytes),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(cause)) => {
                    return Err(http_error_code(&cause).map_or("the answer broke off".into(), |error| code(&error)));
                }
            }
        }
        drop(stream);
        let ending = IncomingBody::finish(incoming);
        ending.subscribe().block();
        let trailers = match ending.get() {
            Some(Ok(Ok(Some(trailers)))) => texts(trailers),
            _ => vec![],
        };
        Ok(Response { status: response.status(), headers, body, trailers })
    }
}

fn texts(fields: Fields) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    fields.entries().into_iter().map(|(name, value)| (name, text(value))).collect()
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
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
        other => Method::Other(other.into()),
    }
}

fn scheme(name: &str) -> Scheme {
    match name {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    }
}

fn code(error: &ErrorCode) -> String {
    format!("{error:?}")
}
