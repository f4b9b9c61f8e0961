//! One client of the HTTP API, by three ways: to a server that was named, to the server that has the data directory open,
//! or, where none runs, to the same router in this process. Whoever calls does not see which.

mod local;
mod wire;

use axum::body::Body;
use futures_util::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use turnbuckle::Secret;
use url::Url;

use crate::exit::{Error, Problem};

pub(crate) use local::{Place, client_of};
use wire::Wire;

/// An answer of the API of this size is not one.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// An answer: the document as it came, for scripts, and what this program read of it, for people.
#[derive(Debug)]
pub(crate) struct Document<T> {
    pub(crate) json: Value,
    pub(crate) view: T,
}

#[derive(Debug, Clone)]
enum Way {
    Wire(Wire),
    InProcess(axum::Router),
}

/// A client of one host.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    way: Way,
    token: Secret,
}

impl Client {
    /// Of the server at this URL.
    pub(crate) fn remote(url: Url, token: Secret) -> Result<Self, Error> {
        Ok(Self { way: Way::Wire(Wire::new(url)?), token })
    }

    /// Of the router in this process.
    pub(crate) fn in_process(router: axum::Router, token: Secret) -> Self {
        Self { way: Way::InProcess(router), token }
    }

    /// Whether the token can be read by others on its way.
    pub(crate) fn is_open_road(&self) -> bool {
        match &self.way {
            Way::Wire(wire) => wire.is_open_road(),
            Way::InProcess(_) => false,
        }
    }

    /// Whether the host is in this process, so that nobody else works on its data.
    pub(crate) fn is_in_process(&self) -> bool {
        matches!(self.way, Way::InProcess(_))
    }

    pub(crate) fn get(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    pub(crate) fn patch(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &[&str]) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// A call of the API. Each part of the path is one segment, whatever it contains; one that no URL can hold is told when it is sent.
    pub(crate) fn call(&self, method: Method, path: &[&str]) -> Call<'_> {
        let mut target = match &self.way {
            Way::Wire(wire) => wire.base().clone(),
            Way::InProcess(_) => Url::parse("http://localhost").expect("a constant URL parses"),
        };
        target
            .path_segments_mut()
            .expect("http and https URLs have a path")
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        // These are what a URL steps over, however they are written.
        let step = path.iter().find(|part| matches!(**part, "" | "." | "..")).map(|part| (*part).to_owned());
        Call { client: self, method, target, step, headers: Vec::new(), body: Body::empty() }
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token.expose()));
        let mut bearer = bearer.map_err(|_illegal| Error::input("the token has characters that no token has"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        match &self.way {
            Way::Wire(wire) => wire.send(request).await,
            Way::InProcess(router) => {
                request.headers_mut().insert(http::header::HOST, HeaderValue::from_static("localhost"));
                use tower::ServiceExt as _;
                match router.clone().oneshot(request).await {
                    Ok(response) => Ok(response),
                    Err(never) => match never {},
                }
            }
        }
    }
}

/// A call that is being put together.
#[derive(Debug)]
#[must_use = "a call is made by awaiting its answer"]
pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    target: Url,
    /// A part of the path that can be none.
    step: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Body,
}

impl Call<'_> {
    /// Adds a parameter, where there is one.
    pub(crate) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.target.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", Body::from(body.to_string()))
    }

    pub(crate) fn body(self, kind: &'static str, body: Body) -> Self {
        Self { body, ..self }.header(CONTENT_TYPE, HeaderValue::from_static(kind))
    }

    /// A body whose kind the caller says by a header, or not at all.
    pub(crate) fn body_alone(self, body: Body) -> Self {
        Self { body, ..self }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer, whatever it says.
    pub(crate) async fn response(self) -> Result<Response<Body>, Error> {
        if let Some(step) = self.step {
            let hint = "what has such a name is reached by its id";
            return Err(Error::input_hint(format!("`{step}` is no name that a path can lead to"), hint));
        }
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target.as_str().parse().map_err(|error| {
            Error::Unexpected(anyhow::Error::from(error).context("the address of the call can't be written"))
        })?;
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        self.client.send(request).await
    }

    /// A good answer, or the problem that it tells.
    pub(crate) async fn accepted(self) -> Result<Response<Body>, Error> {
        let response = self.response().await?;
        if response.status().is_success() { Ok(response) } else { Err(problem(response).await) }
    }

    /// A good answer, read.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<Document<T>, Error> {
        let bytes = read(self.accepted().await?.into_body()).await?;
        let json: Value = serde_json::from_slice(&bytes)
            .map_err(|error| anyhow::Error::from(error).context("the server's answer is not JSON"))?;
        let view = T::deserialize(&json)
            .map_err(|error| anyhow::Error::from(error).context("the server speaks another version of this API"))?;
        Ok(Document { json, view })
    }

    /// A good answer with nothing in it to read.
    pub(crate) async fn done(self) -> Result<(), Error> {
        self.accepted().await.map(|_empty| ())
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| anyhow::Error::from(error).context("the server's answer broke off"))?;
        if bytes.len() + chunk.len() > ANSWER_BYTES {
            return Err(anyhow::anyhow!("the server's answer is too long").into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What an answer that is not good says, as far as it says anything.
pub(crate) async fn problem(response: Response<Body>) -> Error {
    let status = response.status();
    let bytes = match read(response.into_body()).await {
        Ok(bytes) => bytes,
        Err(error) => return error,
    };
    let mut problem = serde_json::from_slice::<Problem>(&bytes).unwrap_or_else(|_not_a_problem| Problem {
        title: status.canonical_reason().unwrap_or_default().to_lowercase(),
        ..Problem::default()
    });
    problem.status = status.as_u16();
    Error::Problem(Box::new(problem))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::{any, get};

    use super::*;

    fn client() -> Client {
        let echo = |request: axum::extract::Request| async move {
            let authorization = request.headers()[AUTHORIZATION].to_str().unwrap().to_owned();
            axum::Json(serde_json::json!({"uri": request.uri().to_string(), "authorization": authorization}))
        };
        let refuse = || async {
            let problem = r#"{"status":409,"code":"in-use","detail":"it is in use","users":[{"kind":"flow","id":"1","name":"N"}]}"#;
            (http::StatusCode::CONFLICT, [("content-type", "application/problem+json")], problem)
        };
        let router = Router::new()
            .route("/api/v1/refused", get(refuse))
            .route("/api/v1/plain", get(|| async { http::StatusCode::NOT_FOUND }))
            .fallback(any(echo));
        Client::in_process(router, Secret::new("t0ken"))
    }

    #[tokio::test]
    async fn names_travel_as_one_segment_and_the_token_as_a_header() {
        let client = client();
        let call = client.get(&["connections", "a/b c?"]).query("limit", Some(2)).query("cursor", None::<&str>);
        let answer = call.answer::<Value>().await.unwrap();
        assert_eq!(
            answer.view,
            serde_json::json!({"uri": "http://localhost/api/v1/connections/a%2Fb%20c%3F?limit=2", "authorization": "Bearer t0ken"})
        );
    }

    #[tokio::test]
    async fn problems_become_errors_with_their_exit_code() {
        let refused = client().get(&["refused"]).done().await.unwrap_err();
        assert_eq!((refused.to_string().as_str(), refused.exit().code()), ("it is in use", 5));
        assert_eq!(refused.details(), ["flow `N` (1)"]);
        let plain = client().get(&["plain"]).done().await.unwrap_err();
        assert_eq!((plain.to_string().as_str(), plain.exit().code()), ("not found", 4));
    }
}
