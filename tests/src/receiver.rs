//! A receiver of webhooks on loopback, which proves messages as the Standard Webhooks specification says and keeps them.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::upstream::{Arrived, Reply, Upstream};

/// How long a message may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// One endpoint, at one path of a service.
#[derive(Debug)]
pub struct Receiver {
    arrived: Mutex<mpsc::Receiver<Arrived>>,
}

/// A message that arrived.
#[derive(Debug, Clone)]
pub struct Message {
    /// As it arrived.
    pub arrived: Arrived,
}

impl Receiver {
    /// Answers at this path so from now on, and keeps what arrives.
    pub fn at(service: &Upstream, path: &str, mut answer: impl FnMut(&Arrived) -> Reply + Send + 'static) -> Self {
        let (send, arrived) = mpsc::channel();
        service.on("POST", path, move |request| {
            // A test that has seen enough does not listen any more.
            drop(send.send(request.clone()));
            answer(request)
        });
        Self { arrived: Mutex::new(arrived) }
    }

    /// The next message.
    pub fn next(&self) -> Message {
        let arrived = self.arrived.lock().expect("one test listens");
        Message { arrived: arrived.recv_timeout(PATIENCE).expect("a message comes in time") }
    }

    /// So many messages.
    pub fn take(&self, count: usize) -> Vec<Message> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Takes what is there into this list, and says whether that is nothing.
    pub fn is_idle_after(&self, taken: &mut Vec<Message>) -> bool {
        let arrived = self.arrived.lock().expect("one test listens");
        let before = taken.len();
        taken.extend(arrived.try_iter().map(|arrived| Message { arrived }));
        taken.len() == before
    }

    /// Whether anything is there that was not taken.
    pub fn is_idle(&self) -> bool {
        self.arrived.lock().expect("one test listens").try_recv().is_err()
    }
}

impl Message {
    /// Its body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.arrived.body).expect("a message is JSON")
    }

    /// The number of its event.
    pub fn seq(&self) -> u64 {
        self.json()["seq"].as_u64().expect("an event has a number")
    }

    /// Its type.
    pub fn kind(&self) -> String {
        self.json()["type"].as_str().expect("an event has a type").to_owned()
    }

    /// `webhook-id`.
    pub fn id(&self) -> String {
        self.arrived.header("webhook-id").to_owned()
    }

    /// How many of its signatures are by this secret, and how many there are.
    pub fn proven_by(&self, secret: &str) -> (usize, usize) {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret says what it is")).expect("base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
        mac.update(format!("{}.{}.", self.id(), self.arrived.header("webhook-timestamp")).as_bytes());
        mac.update(&self.arrived.body);
        let right = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let all: Vec<_> = self.arrived.header("webhook-signature").split(' ').collect();
        (all.iter().filter(|signature| **signature == right).count(), all.len())
    }
}
