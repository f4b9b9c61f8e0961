//! A reader of server-sent events that waits for each of them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::Api;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A stream that is read.
#[derive(Debug)]
pub struct Followed {
    runtime: Runtime,
    body: Incoming,
    text: String,
    /// The answer's status.
    pub status: StatusCode,
    /// The answer's headers.
    pub headers: HeaderMap,
}

/// One block of a stream: an event, or a sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// `id:`
    pub id: String,
    /// `event:`
    pub event: String,
    /// `data:`
    pub data: String,
    /// What stands behind a colon at the beginning of a line.
    pub comment: String,
}

impl Sent {
    /// Its data as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Api {
    /// Follows a path below `/api/v1` with these headers besides, until this is dropped.
    pub fn follow(&self, path: &str, headers: &[(&str, &str)]) -> Followed {
        self.follow_raw(&format!("/api/v1{path}"), headers)
    }

    /// The same, of a path of the server as it is.
    pub fn follow_raw(&self, path: &str, headers: &[(&str, &str)]) -> Followed {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut all = vec![("accept", "text/event-stream")];
        all.extend_from_slice(headers);
        let request = self.request(Method::GET, path, &all, Bytes::new());
        let response = runtime.block_on(async {
            let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
            client.request(request).await.expect("the server answers")
        });
        let (head, body) = response.into_parts();
        Followed { runtime, body, text: String::new(), status: head.status, headers: head.headers }
    }
}

impl Followed {
    /// The next block. None where the stream is over.
    pub fn block(&mut self) -> Option<Sent> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (read(block), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let body = &mut self.body;
            let frame = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, body.frame()).await });
            let data = frame.expect("something comes in time")?.ok()?.into_data().ok()?;
            self.text.push_str(&String::from_utf8_lossy(&data));
        }
    }

    /// The next event, signs of life passed over. None where the stream is over.
    pub fn event(&mut self) -> Option<Sent> {
        loop {
            let block = self.block()?;
            if !block.data.is_empty() {
                return Some(block);
            }
        }
    }

    /// So many events.
    #[track_caller]
    pub fn events(&mut self, count: usize) -> Vec<Sent> {
        (0..count).map(|at| self.event().unwrap_or_else(|| panic!("the stream ended before event {at}"))).collect()
    }
}

fn read(block: &str) -> Sent {
    let mut sent = Sent::default();
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim_start();
        match name {
            "id" => value.clone_into(&mut sent.id),
            "event" => value.clone_into(&mut sent.event),
            "data" => sent.data.push_str(value),
            "" => value.clone_into(&mut sent.comment),
            _ => {}
        }
    }
    sent
}
