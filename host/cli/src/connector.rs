//! `turnbuckle connector …`

mod compile;
mod install;
mod new;

use serde_json::json;
use turnbuckle::{ConnectorView, UpgradeReport};

use crate::Session;
use crate::args::DryRun;
use crate::args::connector::{List, Upgrade, Verb};
use crate::client::{Client, Document};
use crate::connection::put;
use crate::exit::Error;
use crate::output::Output;
use crate::preview;
use crate::show::connectors as show;

pub(crate) use compile::{compile, components, road};
pub(crate) use install::{Component, install_all};

pub(crate) async fn run(verb: Verb, session: &Session) -> Result<(), Error> {
    let output = session.output;
    match verb {
        Verb::New { name, path } => new::run(&name, path, output),
        Verb::Build { paths, out } => compile::run(paths, out, output).await,
        Verb::Check { file } => install::check(&file, &session.client().await?, output).await,
        Verb::Install { files } => install::run(&files, session).await,
        Verb::List(list) => self::list(list, &session.client().await?, output).await,
        Verb::Show { name } => {
            let document = session.client().await?.get(&["connectors", &name]).answer().await?;
            output.document(&document, show::one)
        }
        Verb::Enable { name, asked } => switch(&name, ("enabled", true), asked, session).await,
        Verb::Disable { name, asked } => switch(&name, ("enabled", false), asked, session).await,
        Verb::Feature { name, off } => switch(&name, ("featured", !off), DryRun { dry_run: false }, session).await,
        Verb::Upgrade(upgrade) => self::upgrade(upgrade, session).await,
        Verb::Remove { name, asked } => {
            let client = session.client().await?;
            let call = client.delete(&["connectors", &name]);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            call.done().await?;
            output.done(&format!("The connector {name} is removed."))
        }
    }
}

async fn list(list: List, client: &Client, output: Output) -> Result<(), Error> {
    let call = client
        .get(&["connectors"])
        .query("text", list.text)
        .query("category", list.category)
        .query("featured", list.featured.then_some(true));
    let document: Document<Vec<ConnectorView>> = call.answer().await?;
    output.document(&document, |connectors| show::list(connectors))
}

async fn switch(name: &str, (what, on): (&str, bool), asked: DryRun, session: &Session) -> Result<(), Error> {
    let client = session.client().await?;
    let call = client.patch(&["connectors", name]).json(&json!({what: on}));
    if asked.dry_run {
        return preview::tell(call, session.output).await;
    }
    let document: Document<ConnectorView> = call.answer().await?;
    if session.output.is_json() {
        return session.output.json(&document.json);
    }
    let not = if on { "" } else { "not " };
    session.output.done(&format!("The connector {name} is {not}{what}."))
}

async fn upgrade(upgrade: Upgrade, session: &Session) -> Result<(), Error> {
    let Upgrade { name, to, accept, dry_run } = upgrade;
    let client = session.client().await?;
    let mut body = json!({"accept": accept, "dry-run": dry_run});
    put(&mut body, "to", to);
    let call = client.post(&["connectors", &name, "upgrade"]).json(&body);
    let document: Document<UpgradeReport> = call.answer().await?;
    session.output.document(&document, show::upgraded)?;
    if dry_run && !session.output.is_json() {
        session.output.hint("nothing was changed; leave --dry-run out to do it");
    }
    let stayed = document.view.connections.iter().filter(|row| !row.moved).count();
    if !dry_run && stayed > 0 {
        return Err(Error::Refused {
            message: format!(
                "{} stayed where it is: it needs attention first",
                crate::show::count(stayed as u64, "connection")
            ),
            hint: Some(
                "what is missing stands beside each; edit it on the version that it has, and upgrade again".into(),
            ),
        });
    }
    Ok(())
}
