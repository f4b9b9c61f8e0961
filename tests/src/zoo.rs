//! Hostile connectors: every attack, the stage at which it comes, what it is after, and how it has to end.

pub mod by_hand;
pub mod service;
mod table;

use std::path::Path;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::components;

pub use table::ATTACKS;

/// When an attack comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// With the bytes of the component.
    Install,
    /// When the connector is asked what it is.
    Describe,
    /// When it is asked how a connection authenticates.
    Authenticate,
    /// When it tests a connection.
    Test,
}

impl Stage {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Describe => "describe",
            Self::Authenticate => "authenticate",
            Self::Test => "test",
        }
    }
}

/// What an attack is after; its budget is small then, and the others are so large that no slow machine uses them up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Whoever compiles it.
    Compiler,
    /// Time: it never ends by itself.
    Time,
    /// Anything else.
    Other,
}

impl Aim {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Compiler, Self::Time, Self::Other];

    /// What an operator sets for attacks of this kind: their budgets, and services that may be reached.
    pub fn configuration(self, origins: &[String]) -> String {
        let origins: Vec<_> = origins.iter().map(|origin| format!("{origin:?}")).collect();
        let limits = match self {
            Self::Compiler => "compile-seconds = 3\ncompile-memory-mib = 1024\n",
            Self::Time => "test-seconds = 5\ncall-cpu-milliseconds = 1000\ndescribe-cpu-milliseconds = 500\n",
            Self::Other => "test-seconds = 300\ncall-cpu-milliseconds = 100000\ndescribe-cpu-milliseconds = 100000\n",
        };
        format!("[egress]\nallow = [{}]\n[limits]\n{limits}", origins.join(", "))
    }
}

/// How an attack ends. The words are those that a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The component is refused: the field, and words of its message.
    Refused(&'static str, &'static str),
    /// It is installed, and its summary holds these words: there was nothing to gain.
    Installed(&'static str),
    /// No connection is made: the code of the answer, and words of its detail.
    NotMade(&'static str, &'static str),
    /// The test fails: its kind, and words of its message or of what became of its last request.
    Failed(&'static str, &'static str),
    /// The test passes, and what came of it holds these words: there was nothing to gain.
    Passed(&'static str),
}

/// One attack.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// Its name.
    pub name: &'static str,
    /// When it comes.
    pub stage: Stage,
    /// What it is after.
    pub aim: Aim,
    /// How it has to end: in one of these ways. They differ where two limits race.
    pub ends: [End; 2],
}

/// The zoo's component, attacking in `describe` in this way.
pub fn describing(binary: &Path, attack: &str) -> Vec<u8> {
    let mut component = components::read(binary, "zoo").to_vec();
    let mark = b"DESCRIBE:none";
    let at = component.windows(mark.len()).position(|window| window == mark).expect("the zoo has its mark") + 9;
    component[at..at + 32].copy_from_slice(format!("{attack:32}").as_bytes());
    component
}

impl Attack {
    /// Makes it ready: what is uploaded for it, where something is.
    pub fn component(&self, binary: &Path) -> Option<Vec<u8>> {
        match self.stage {
            Stage::Install => Some(by_hand::component(self.name)),
            Stage::Describe => Some(describing(binary, self.name)),
            Stage::Authenticate | Stage::Test => None,
        }
    }

    /// Does it: offers the component, or makes a connection of this name, of the installed zoo to this service.
    pub fn run(&self, api: &Api, component: Option<&[u8]>, service: &str, secret: &str, name: &str) -> Answer {
        if let Some(component) = component {
            let kind = [("content-type", "application/wasm")];
            return api.call(Method::POST, "/connectors", &kind, component.to_vec().into());
        }
        // Of some the service does the most: they ask, and look at what they get.
        let settings = match self.name.split_once('-') {
            Some((folder @ ("echo" | "answer"), how)) => json!({"attack": "ask", "path": format!("/{folder}/{how}")}),
            _ => json!({"attack": self.name, "aim": "connectors"}),
        };
        connect(api, name, service, &settings, secret)
    }

    /// How it ended, in a few words; an error where that is not how it has to end.
    pub fn judge(&self, answer: &Answer) -> Result<String, String> {
        let said = answer.json();
        let told = self.ends.iter().find_map(|end| end.told(answer.status.as_u16(), &said));
        told.ok_or_else(|| format!("{}: {} {said:#}", self.name, answer.status))
    }

    /// Takes away what it left, where it left something.
    pub fn tidy(&self, api: &Api, name: &str) {
        let path = match self.ends[0] {
            End::Refused(..) | End::NotMade(..) => return,
            End::Installed(_) => "/connectors/zoo".to_owned(),
            End::Failed(..) | End::Passed(_) => format!("/connections/{name}"),
        };
        drop(api.call(Method::DELETE, &path, &[], Bytes::new()).ended(204));
    }
}

impl End {
    /// What is told, where it ended so.
    fn told(self, status: u16, said: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let verdict = &said["verdict"];
        let (fits, told) = match self {
            Self::Refused(field, words) => {
                let first = &said["problems"][0];
                let (at, message) = (text(&first["field"]), text(&first["message"]));
                (status == 422 && at == field && message.contains(words), format!("refused: {message}"))
            }
            Self::Installed(words) => {
                let summary = text(&said["connector"]["descriptor"]["summary"]);
                (status == 201 && summary.contains(words), format!("nothing gained: {summary}"))
            }
            Self::NotMade(code, words) => {
                let detail = text(&said["detail"]);
                (text(&said["code"]) == code && detail.contains(words), format!("{code}: {detail}"))
            }
            Self::Failed(kind, words) => {
                // The connector chose the message, and may hide what the host says of its last request.
                let exchange = verdict["exchanges"].as_array().and_then(|all| all.last());
                let error = exchange.map(|last| text(&last["error"])).filter(|error| !error.is_empty());
                let message =
                    [Some(text(&verdict["message"])), error].into_iter().flatten().collect::<Vec<_>>().join(": ");
                (status == 201 && verdict["kind"] == kind && message.contains(words), format!("{kind}: {message}"))
            }
            Self::Passed(words) => {
                let outcome = text(&said["discovered"]["outcome"]);
                let passed = status == 201 && verdict["outcome"] == "passed";
                (passed && outcome.contains(words), format!("nothing gained: {outcome}"))
            }
        };
        fits.then_some(told)
    }
}

/// Asks for a connection of the zoo by a token, with these settings besides.
pub fn connect(api: &Api, name: &str, service: &str, settings: &Value, secret: &str) -> Answer {
    let mut all = json!({ "url": service });
    if let (Some(all), Some(settings)) = (all.as_object_mut(), settings.as_object()) {
        all.extend(settings.clone());
    }
    let new = json!({
        "name": name, "connector": "zoo", "protocol": "token", "settings": all, "secrets": {"token": secret},
    });
    api.post("/connections", &new)
}
