//! `turnbuckle connection …`

pub(crate) mod authorize;
mod send;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use turnbuckle::{
    Activity, Change, ConnectionView, ConnectorView, Descriptor, FlowRow, Page, Reconnected, Secret, SignIn,
    Transferred, Verdict,
};

use crate::Session;
use crate::args::connection::{
    self as args, Authorize, Create, Edit, Fields, Key, List, PageOf, Reconnect, Switch, Transfer, Verb,
};
use crate::client::{Client, Document};
use crate::exit::Error;
use crate::output::{Output, can_ask};
use crate::preview;
use crate::secret::{self, SecretArgument};
use crate::show::{connections as show, health};

pub(crate) async fn run(verb: Verb, session: &Session) -> Result<(), Error> {
    let output = session.output;
    let client = match verb {
        Verb::Authorize(Authorize { key, browser, accept_account }) => {
            return reconnected(&authorize::run(&key, &browser, false, accept_account, session).await?, output);
        }
        Verb::Create(create) => return self::create(create, session).await,
        Verb::Reconnect(reconnect) => return self::reconnect(reconnect, session).await,
        _ => session.client().await?,
    };
    match verb {
        Verb::Authorize(_) | Verb::Create(_) | Verb::Reconnect(_) => Ok(()),
        Verb::List(list) => self::list(list, &client, output).await,
        Verb::Show(Key { key }) => {
            let document = client.get(&["connections", &key]).answer().await?;
            output.document(&document, show::one)
        }
        Verb::Edit(edit) => self::edit(edit, &client, output).await,
        Verb::Test(Key { key }) => tested(&client.post(&["connections", &key, "test"]).answer().await?, output),
        Verb::Enable(given) => switch(given, "enable", &client, output).await,
        Verb::Disable(given) => switch(given, "disable", &client, output).await,
        Verb::Transfer(Transfer { key, to, visibility }) => {
            let body = json!({"to": to, "visibility": visibility});
            let call = client.post(&["connections", &key, "transfer"]).json(&body);
            let document: Document<Transferred> = call.answer().await?;
            output.document(&document, crate::show::users::transferred)
        }
        Verb::Delete(Switch { key, asked }) => {
            let call = client.delete(&["connections", &key]);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            call.done().await?;
            output.done(&format!("The connection {key} is deleted."))
        }
        Verb::Flows(Key { key }) => {
            let document: Document<Vec<FlowRow>> = client.get(&["connections", &key, "flows"]).answer().await?;
            output.document(&document, |rows| show::flows(rows))
        }
        Verb::History(history) => {
            let PageOf { cursor, limit } = history.page;
            let call = client.get(&["connections", &history.key, "history"]);
            let document: Document<Page<Change>> = call.query("cursor", cursor).query("limit", limit).answer().await?;
            output.document(&document, show::history)?;
            more(output, document.view.next.as_deref());
            Ok(())
        }
        Verb::Activity(args::Activity { key, action, outcome, page: PageOf { cursor, limit } }) => {
            let call = client.get(&["connections", &key, "activity"]).query("action", action).query("outcome", outcome);
            let document: Document<Page<Activity>> =
                call.query("cursor", cursor).query("limit", limit).answer().await?;
            output.document(&document, health::activity)?;
            more(output, document.view.next.as_deref());
            Ok(())
        }
        Verb::Send(send) => send::run(send, &client, output).await,
    }
}

async fn switch(given: Switch, what: &str, client: &Client, output: Output) -> Result<(), Error> {
    let call = client.post(&["connections", &given.key, what]);
    if given.asked.dry_run {
        return preview::tell(call, output).await;
    }
    output.document(&call.answer().await?, show::one)
}

/// Says how the next part of a list is had.
pub(crate) fn more(output: Output, next: Option<&str>) {
    if let Some(cursor) = next.filter(|_| !output.is_json()) {
        output.hint(&format!("there is more: --cursor {cursor}"));
    }
}

async fn list(list: List, client: &Client, output: Output) -> Result<(), Error> {
    let call = client
        .get(&["connections"])
        .query("connector", list.connector)
        .query("status", list.status)
        .query("owner", list.owner)
        .query("text", list.text)
        .query("sort", list.sort)
        .query("cursor", list.page.cursor)
        .query("limit", list.page.limit);
    let document: Document<Page<ConnectionView>> = call.answer().await?;
    output.document(&document, show::list)?;
    more(output, document.view.next.as_deref());
    Ok(())
}

async fn create(create: Create, session: &Session) -> Result<(), Error> {
    let (client, output) = (session.client().await?, session.output);
    let settings = settings(&create.fields.set)?;
    let mut secrets = read_secrets(&create.fields.secret)?;
    let tokens = take_tokens(&mut secrets);
    let (name, version) = match create.connector.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (create.connector.as_str(), None),
    };
    if create.named_credential.is_none() && can_ask() && takes_no_input(&create.fields) {
        let connector: Document<ConnectorView> = client.get(&["connectors", &create.connector]).answer().await?;
        ask(&connector.view.installed.descriptor, create.protocol.as_deref(), &mut secrets)?;
    }
    let mut body = json!({
        "name": create.name,
        "description": create.description,
        "connector": name,
        "settings": settings,
        "secrets": secret::body(&secrets),
        "visibility": if create.private { "private" } else { "shared" },
    });
    put(&mut body, "connector-version", version);
    put(&mut body, "protocol", create.protocol);
    put(&mut body, "identity-provider", create.identity_provider);
    put(&mut body, "named-credential", create.named_credential);
    put(&mut body, "tokens", tokens);
    let made: Document<ConnectionView> = match client.post(&["connections"]).json(&body).answer().await {
        Ok(document) => document,
        Err(error) => return Err(error.or_hint(&format!("see what it asks for: `turnbuckle connector show {name}`"))),
    };
    if !authorize::waits(&made.view) {
        return tested(&made, output);
    }
    if create.later {
        output.document(&made, show::one)?;
        output.hint(&format!("authorize it with `turnbuckle connection authorize '{}'`", made.view.name));
        return Ok(());
    }
    // Where no server runs, the data directory is let go, for the one that the browser comes back to.
    drop(client);
    let id = made.view.id.to_string();
    let signed = authorize::run(&id, &create.browser, false, false, session).await?;
    let json = signed.json["connection"].clone();
    let verdict = signed.view.verdict.clone();
    output.document(&Document { json, view: signed.view.connection }, show::one)?;
    passed(Some(&verdict))
}

/// Tokens that were obtained elsewhere are given like secrets, by the names that every protocol has for them.
fn take_tokens(secrets: &mut BTreeMap<String, Secret>) -> Option<Value> {
    let mut tokens = Map::new();
    for name in ["access-token", "refresh-token"] {
        if let Some(secret) = secrets.remove(name) {
            tokens.insert(name.to_owned(), Value::from(secret.expose()));
        }
    }
    (!tokens.is_empty()).then(|| json!({"secrets": tokens}))
}

/// A secret on standard input leaves nobody there to be asked.
fn takes_no_input(fields: &Fields) -> bool {
    !fields.secret.iter().any(SecretArgument::is_standard_input)
}

fn ask(descriptor: &Descriptor, protocol: Option<&str>, secrets: &mut BTreeMap<String, Secret>) -> Result<(), Error> {
    let protocol = match (protocol, descriptor.protocols.as_slice()) {
        (Some(name), _) => descriptor.protocol(name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    match protocol {
        Some(protocol) => secret::prompt(descriptor.fields(protocol), secrets),
        // The API says better what is wrong with the protocol.
        None => Ok(()),
    }
}

async fn edit(edit: Edit, client: &Client, output: Output) -> Result<(), Error> {
    let settings = settings(&edit.fields.set)?;
    let secrets = read_secrets(&edit.fields.secret)?;
    let version = match edit.version {
        Some(version) => version,
        None => client.get(&["connections", &edit.key]).answer::<ConnectionView>().await?.view.version,
    };
    let mut body = json!({"version": version, "settings": settings, "secrets": secret::body(&secrets)});
    put(&mut body, "name", edit.name);
    put(&mut body, "description", edit.description);
    put(&mut body, "protocol", edit.protocol);
    let visibility = if edit.private { Some("private") } else { edit.shared.then_some("shared") };
    put(&mut body, "visibility", visibility);
    let call = client.patch(&["connections", &edit.key]).json(&body);
    if edit.asked.dry_run {
        return preview::tell(call, output).await;
    }
    tested(&call.answer().await?, output)
}

async fn reconnect(reconnect: Reconnect, session: &Session) -> Result<(), Error> {
    let (client, output) = (session.client().await?, session.output);
    let mut secrets = read_secrets(&reconnect.secret)?;
    let tokens = take_tokens(&mut secrets);
    if secrets.is_empty() && tokens.is_none() {
        let view: Document<ConnectionView> = client.get(&["connections", &reconnect.key]).answer().await?;
        let of = format!("{}@{}", view.view.connector.name, view.view.connector.version);
        let connector: Document<ConnectorView> = client.get(&["connectors", &of]).answer().await?;
        let descriptor = &connector.view.installed.descriptor;
        let protocol = descriptor.protocol(&view.view.protocol);
        if protocol.is_some_and(|protocol| protocol.sign_in == SignIn::Browser) {
            drop(client);
            let Reconnect { key, browser, accept_account, .. } = &reconnect;
            return reconnected(&authorize::run(key, browser, true, *accept_account, session).await?, output);
        }
        if can_ask() {
            ask(descriptor, Some(&view.view.protocol), &mut secrets)?;
        }
    }
    let mut body = json!({"secrets": secret::body(&secrets), "accept-account": reconnect.accept_account});
    put(&mut body, "tokens", tokens);
    let call = client.post(&["connections", &reconnect.key, "reconnect"]).json(&body);
    reconnected(&call.answer().await?, output)
}

/// Shows what became of a new credential, and ends as its test did.
fn reconnected(document: &Document<Reconnected>, output: Output) -> Result<(), Error> {
    output.document(document, show::reconnected)?;
    let Reconnected { replaced, verdict, .. } = &document.view;
    match passed(Some(verdict)) {
        Ok(()) if !replaced => Err(Error::Refused {
            message: verdict.message.clone(),
            hint: Some("take it all the same with --accept-account".into()),
        }),
        said => said,
    }
}

/// Shows a connection that was just tested, and ends as the test did.
fn tested(document: &Document<ConnectionView>, output: Output) -> Result<(), Error> {
    output.document(document, show::one)?;
    if !document.view.enabled {
        output.note("it is disabled, so it was not tested");
        return Ok(());
    }
    passed(document.view.verdict.as_ref())
}

fn passed(verdict: Option<&Verdict>) -> Result<(), Error> {
    let Some(verdict) = verdict else {
        return Err(Error::NotPassed { message: "the connection was not tested".into(), hint: None });
    };
    match &verdict.outcome {
        turnbuckle::Outcome::Passed => Ok(()),
        turnbuckle::Outcome::Failed(kind) => {
            let message = format!("the test did not pass ({}): {}", kind.name(), verdict.message);
            Err(Error::NotPassed { message, hint: verdict.hint.clone() })
        }
    }
}

pub(crate) fn settings(pairs: &[(String, String)]) -> Result<Value, Error> {
    let mut settings = Map::new();
    for (name, value) in pairs {
        if settings.insert(name.clone(), Value::from(value.as_str())).is_some() {
            return Err(Error::input(format!("the field `{name}` is set twice")));
        }
    }
    Ok(Value::Object(settings))
}

pub(crate) fn read_secrets(arguments: &[SecretArgument]) -> Result<BTreeMap<String, Secret>, Error> {
    secret::read(arguments, crate::variable, std::io::stdin())
}

/// Adds what was given; the API tells "left out" from "empty".
pub(crate) fn put(body: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body[name] = value.into();
    }
}
