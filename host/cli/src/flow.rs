//! `turnbuckle flow …`

use serde_json::{Value, json};
use turnbuckle::{Flow, FlowReport, Page};

use crate::Session;
use crate::args::connection::PageOf;
use crate::args::flow::{Put, Remove, Select, UsedAs, Verb};
use crate::client::{Client, Document};
use crate::connection::{more, put};
use crate::exit::Error;
use crate::output::Output;
use crate::show::flows as show;

pub(crate) async fn run(verb: Verb, session: &Session) -> Result<(), Error> {
    let client = session.client().await?;
    let output = session.output;
    match verb {
        Verb::Put(flow) => {
            let document = client.put(&["flows", &flow.id]).json(&body(&flow)).answer().await?;
            output.document(&document, show::one)
        }
        Verb::List(PageOf { cursor, limit }) => {
            let call = client.get(&["flows"]).query("cursor", cursor).query("limit", limit);
            let document: Document<Page<Flow>> = call.answer().await?;
            output.document(&document, show::list)?;
            more(output, document.view.next.as_deref());
            Ok(())
        }
        Verb::Show { id } => {
            let document = client.get(&["flows", &id]).answer().await?;
            output.document(&document, show::one)
        }
        Verb::Open { id } => report(&client.post(&["flows", &id, "open"]).answer().await?, output),
        Verb::Select(select) => {
            let Select { id, connection, used_as, step } = select;
            let body = json!({"connection": connection, "used-as": used_as.name(), "step": step});
            report(&client.post(&["flows", &id, "uses"]).json(&body).answer().await?, output)
        }
        Verb::Remove(remove) => self::remove(remove, &client, output).await,
    }
}

/// Shows the flow, and ends as the tests of its connections did.
fn report(document: &Document<FlowReport>, output: Output) -> Result<(), Error> {
    output.document(document, show::report)?;
    match document.view.alerts.as_slice() {
        [] => Ok(()),
        alerts => Err(Error::NotPassed {
            message: show::alerts(alerts),
            hint: Some("look at each: `turnbuckle connection show NAME`".into()),
        }),
    }
}

async fn remove(remove: Remove, client: &Client, output: Output) -> Result<(), Error> {
    let Remove { id, connection, step } = remove;
    match connection {
        None => {
            client.delete(&["flows", &id]).done().await?;
            output.done(&format!("The flow {id} is forgotten."))
        }
        Some(connection) => {
            let call = client.delete(&["flows", &id, "uses"]);
            let document = call.query("connection", Some(connection)).query("step", step).answer().await?;
            output.document(&document, show::one)
        }
    }
}

fn body(flow: &Put) -> Value {
    let mut body = json!({"name": flow.name, "version": flow.version, "status": flow.status.name()});
    put(&mut body, "owner", flow.owner.as_deref());
    put(&mut body, "url", flow.url.as_deref());
    let actions = flow.action.iter().map(|text| (UsedAs::Action, text));
    let triggers = flow.trigger.iter().map(|text| (UsedAs::Trigger, text));
    let uses: Vec<_> = triggers.chain(actions).map(|(used_as, text)| one_use(used_as, text)).collect();
    if !uses.is_empty() {
        body["uses"] = Value::Array(uses);
    }
    body
}

fn one_use(used_as: UsedAs, text: &str) -> Value {
    let (step, connection) = text.split_once('=').unwrap_or(("", text));
    json!({"connection": connection, "used-as": used_as.name(), "step": step})
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, Command};

    fn put_of(words: &[&str]) -> Value {
        let arguments =
            Arguments::try_parse_from(["turnbuckle", "flow", "put", "nightly"].iter().chain(words)).unwrap();
        match arguments.command {
            Command::Flow(Verb::Put(flow)) => body(&flow),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn uses_are_sent_only_where_some_are_given() {
        assert_eq!(put_of(&["--name", "N"]), json!({"name": "N", "version": "", "status": "active"}));
        assert_eq!(
            put_of(&["--name", "N", "--action", "fetch=Shop", "--trigger", "Mail"])["uses"],
            json!([
                {"connection": "Mail", "used-as": "trigger", "step": ""},
                {"connection": "Shop", "used-as": "action", "step": "fetch"}
            ])
        );
    }
}
