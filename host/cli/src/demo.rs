//! A guided tour: the whole life of a connection on a sample service, in a data directory that is gone afterwards.
//!
//! Every step checks what it tells, so the tour is a proof too: where one does not go as it should, the command fails.

mod scan;
mod service;
mod story;

use serde_json::{Value, json};
use turnbuckle::config::Config;
use turnbuckle::{
    ConnectionView, ConnectorView, Error as HostError, FailureKind, Flow, FlowRow, Host, Outcome, Progress, Secret,
    Status,
};
use turnbuckle_server::Access;

use crate::Session;
use crate::client::{Client, Document, client_of};
use crate::connector::{Component, install_all};
use crate::exit::{Error, Problem};
use crate::output::Output;
use crate::show::connectors as show;
use service::Service;
use story::{Chapter, Story};

const CONNECTION: &str = "Sample API";
const FLOW: &str = "nightly-report";

const INTRODUCTION: &str = "A tour of Turnbuckle on a sample service.\n\
    The service runs on this machine, asks for a token, and repeats everything it hears.\n\
    The token is made up for this tour; watch where it does not show up.";

pub(crate) async fn run(session: &Session) -> Result<(), Error> {
    let output = session.output;
    let component = crate::up::bundled_component("http", output).await?;
    let folder = tempfile::Builder::new().prefix("turnbuckle-demo-").tempdir()?;
    let token = Secret::new(Access::new_token());
    let service = service::start(token.clone()).await?;
    let mut config = Config::default();
    // What an operator writes as `egress.allow`: without it a host reaches no address of this machine.
    config.egress.allow = vec![service.origin.clone()];
    let data = folder.path().join("data");
    let host = Host::builder(&data).config(config).open().await?;
    let tour = Tour { client: client_of(host), service, token, component, output };

    let mut story = Story::begin(output, INTRODUCTION)?;
    let walked = tour.walk(&mut story, &data).await;
    drop(tour);
    let closed = match walked {
        Ok(()) => {
            let gone = async {
                folder
                    .close()
                    .map(|()| vec!["the data directory is gone, the service has ended".into()])
                    .map_err(Error::from)
            };
            story.step(Chapter { name: "clean-up", title: "Leave nothing behind", command: "demo" }, gone).await
        }
        Err(error) => Err(error),
    };
    let farewell = if closed.is_ok() {
        "\nThat is all of it. Now with connectors of your own choice:\n\n  turnbuckle up\n"
    } else {
        "\nThe tour ended early."
    };
    story.end(farewell)?;
    // What went wrong is told already; how it ends is always the same.
    closed.map_err(|error| Error::Unexpected(anyhow::Error::new(error).context("the tour did not go as it should")))
}

struct Tour {
    client: Client,
    service: Service,
    token: Secret,
    component: Component,
    output: Output,
}

impl Tour {
    async fn walk(&self, story: &mut Story, data: &std::path::Path) -> Result<(), Error> {
        let chapter = |name, title, command| Chapter { name, title, command };
        story.step(chapter("install", "Install a connector", "connector install http.wasm"), self.install()).await?;
        story.step(chapter("describe", "Ask what it can do", "connector show http"), self.describe()).await?;
        story
            .step(
                chapter(
                    "create",
                    "Make a connection; it is tested at once",
                    "connection create --connector http --name \"Sample API\" --protocol bearer --set url=… --secret token=-",
                ),
                self.create(),
            )
            .await?;
        story
            .step(
                chapter(
                    "flow",
                    "A flow leans on it",
                    "flow put nightly-report --name \"Nightly report\" --action fetch=\"Sample API\"",
                ),
                self.flow(),
            )
            .await?;
        story
            .step(
                chapter(
                    "wrong-secret",
                    "Somebody stores a wrong token",
                    "connection edit \"Sample API\" --secret token=-",
                ),
                self.wrong_secret(),
            )
            .await?;
        story
            .step(
                chapter(
                    "edit",
                    "The right token again, and a description",
                    "connection edit \"Sample API\" --description \"For the tour\" --secret token=-",
                ),
                self.edit(),
            )
            .await?;
        story
            .step(
                chapter(
                    "send",
                    "Send a request through it; the service repeats all it hears",
                    "connection send \"Sample API\" POST /echo --body hello",
                ),
                self.send(),
            )
            .await?;
        story
            .step(
                chapter("delete-refused", "Deleting it would break the flow", "connection delete \"Sample API\""),
                self.delete_refused(),
            )
            .await?;
        story
            .step(
                chapter(
                    "delete",
                    "Without the flow it may go",
                    "flow remove nightly-report && turnbuckle connection delete \"Sample API\"",
                ),
                self.delete(),
            )
            .await?;
        story
            .step(chapter("secret-kept", "Look for the token in everything that was written", "doctor"), async {
                scan::nowhere(data, self.token.expose().as_bytes())
            })
            .await
    }

    async fn install(&self) -> Result<Vec<String>, Error> {
        let reports = install_all(std::slice::from_ref(&self.component), &self.client, self.output.quiet()).await?;
        Ok(reports.iter().map(|report| show::installed(&report.view)).collect())
    }

    async fn describe(&self) -> Result<Vec<String>, Error> {
        let view = self.client.get(&["connectors", "http"]).answer::<ConnectorView>().await?.view;
        let descriptor = &view.installed.descriptor;
        let protocols: Vec<_> = descriptor.protocols.iter().map(|protocol| protocol.name.as_str()).collect();
        expect(protocols.contains(&"bearer"), "it offers the protocol `bearer`")?;
        Ok(vec![
            format!("{}: {}", descriptor.label, descriptor.summary),
            format!("protocols: {}", protocols.join(", ")),
            format!("requests may go to {}, and nowhere else", descriptor.origins.join(", ")),
        ])
    }

    async fn create(&self) -> Result<Vec<String>, Error> {
        let body = json!({
            "name": CONNECTION, "connector": "http", "protocol": "bearer",
            "settings": {"url": self.service.origin, "test-path": "/status"},
            "secrets": {"token": self.token.expose()},
        });
        let view = self.client.post(&["connections"]).json(&body).answer::<ConnectionView>().await?.view;
        expect(view.status == Status::Active, "a right token makes the connection active")?;
        Ok(told(&view))
    }

    async fn flow(&self) -> Result<Vec<String>, Error> {
        let body = json!({
            "name": "Nightly report", "version": "1", "status": "active",
            "uses": [{"connection": CONNECTION, "used-as": "action", "step": "fetch"}],
        });
        let flow = self.client.put(&["flows", FLOW]).json(&body).answer::<Flow>().await?.view;
        expect(flow.uses.len() == 1, "the flow has one use")?;
        Ok(vec![format!("`{}` uses it in the step `fetch`", flow.name)])
    }

    async fn wrong_secret(&self) -> Result<Vec<String>, Error> {
        let view = self.change(json!({"secrets": {"token": "not-the-token"}})).await?;
        let unauthorized =
            view.verdict.as_ref().is_some_and(|said| said.outcome == Outcome::Failed(FailureKind::Unauthorized));
        expect(unauthorized && view.status == Status::NeedsReconnect, "a wrong token fails the test as unauthorized")?;
        let row = self.row().await?;
        expect(row.progress == Progress::Failed, "the flow's row says failed")?;
        let mut lines = told(&view);
        lines.push(format!("and its flow knows: `{}` shows failed", row.name));
        Ok(lines)
    }

    async fn edit(&self) -> Result<Vec<String>, Error> {
        let change = json!({"description": "For the tour", "secrets": {"token": self.token.expose()}});
        let view = self.change(change).await?;
        expect(view.status == Status::Active, "the right token makes it active again")?;
        let row = self.row().await?;
        expect(row.progress == Progress::Passed, "the flow's row says passed")?;
        let mut lines = told(&view);
        lines.push(format!("version {}; `{}` shows passed again", view.version, row.name));
        Ok(lines)
    }

    async fn send(&self) -> Result<Vec<String>, Error> {
        let call = self.client.post(&["connections", CONNECTION, "send"]).query("url", Some("/echo"));
        let echoed = call.body("text/plain", axum::body::Body::from("hello")).answer::<Value>().await?.json;
        let heard = echoed.pointer("/headers/authorization").and_then(Value::as_str).unwrap_or_default();
        expect(!echoed.to_string().contains(self.token.expose()), "the answer does not contain the token")?;
        expect(heard.contains("[redacted]"), "the token in the answer is replaced")?;
        expect(echoed["body"] == "hello", "the rest of the answer is as it was sent")?;
        Ok(vec![
            "the service let us in, so the token reached it".into(),
            format!("what it repeated came back as   authorization: {heard}"),
        ])
    }

    async fn delete_refused(&self) -> Result<Vec<String>, Error> {
        match self.client.delete(&["connections", CONNECTION]).done().await {
            Ok(()) => Err(Error::Unexpected(anyhow::anyhow!("it was deleted although a flow uses it"))),
            Err(Error::Problem(problem)) if names_the_flow(&problem) => {
                Ok(vec![format!("refused: {}", problem.detail)])
            }
            Err(other) => Err(other),
        }
    }

    async fn delete(&self) -> Result<Vec<String>, Error> {
        self.client.delete(&["flows", FLOW]).done().await?;
        self.client.delete(&["connections", CONNECTION]).done().await?;
        match self.client.get(&["connections", CONNECTION]).done().await {
            Err(Error::Problem(problem)) if problem.status == 404 => Ok(vec!["flow and connection are gone".into()]),
            Err(other) => Err(other),
            Ok(()) => Err(Error::Unexpected(anyhow::anyhow!("the connection is still there"))),
        }
    }

    async fn change(&self, mut change: Value) -> Result<ConnectionView, Error> {
        let now: Document<ConnectionView> = self.client.get(&["connections", CONNECTION]).answer().await?;
        change["version"] = json!(now.view.version);
        Ok(self.client.patch(&["connections", CONNECTION]).json(&change).answer().await?.view)
    }

    async fn row(&self) -> Result<FlowRow, Error> {
        let rows: Document<Vec<FlowRow>> = self.client.get(&["connections", CONNECTION, "flows"]).answer().await?;
        let row = rows.view.into_iter().next();
        row.ok_or_else(|| HostError::NotFound { kind: "flow", name: FLOW.into() }.into())
    }
}

fn names_the_flow(problem: &Problem) -> bool {
    problem.status == 409 && problem.users.iter().any(|user| user.kind == "flow" && user.id == FLOW)
}

fn told(view: &ConnectionView) -> Vec<String> {
    let verdict = view.verdict.as_ref().map_or_else(|| "not tested".to_owned(), crate::show::verdict);
    vec![format!("test {verdict}"), format!("`{}` is {}", view.name, view.status.name())]
}

fn expect(holds: bool, what: &str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Unexpected(anyhow::anyhow!("this should hold and does not: {what}"))) }
}
