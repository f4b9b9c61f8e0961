//! The sample service: a small API behind a token, on loopback, gone when the tour ends.

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use turnbuckle::Secret;

use crate::exit::Error;

/// A service that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) origin: String,
    task: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts it on a free port of loopback. It knows one token.
pub(super) async fn start(token: Secret) -> Result<Service, Error> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let router = Router::new().route("/status", get(status)).route("/echo", any(echo)).with_state(token);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the sample service ended");
        }
    });
    Ok(Service { origin, task })
}

async fn status(State(token): State<Secret>, headers: HeaderMap) -> Response {
    if knows(&token, &headers) { Json(json!({"service": "sample", "status": "up"})).into_response() } else { refused() }
}

/// The service that a secret-blind host must survive: it says everything that it hears.
async fn echo(State(token): State<Secret>, request: Request) -> Response {
    if !knows(&token, request.headers()) {
        return refused();
    }
    let method = request.method().to_string();
    let headers: Map<String, Value> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let Ok(body) = axum::body::to_bytes(request.into_body(), 64 * 1024).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    Json(json!({"method": method, "headers": headers, "body": String::from_utf8_lossy(&body)})).into_response()
}

fn knows(token: &Secret, headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value.as_bytes() == format!("Bearer {}", token.expose()).as_bytes())
}

fn refused() -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({"message": "bad credentials"}))).into_response()
}
