//! Identity providers.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{ConnectorFilter, PutIdentityProvider, Secret, SignIn};

use super::manages;
use super::put::{NEW, Put, blank, ended, form_page, free, name_field, named};
use crate::console::answer::Failed;
use crate::console::form::{Field, Form};
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

fn provider_fields(
    console: &Console,
    entered: &Entered,
    name: &str,
    typed: &dyn Fn(&str) -> String,
    has_secret: bool,
) -> Result<Form, Failed> {
    let all = console.host.connectors(&entered.actor, &ConnectorFilter::default())?;
    let mut serves = Vec::new();
    for view in &all {
        let descriptor = &view.installed.descriptor;
        for protocol in descriptor.protocols.iter().filter(|protocol| protocol.sign_in != SignIn::None) {
            let value = format!("{} {}", view.installed.reference.name, protocol.name);
            serves.push((value, format!("{}, {}", descriptor.label, protocol.label)));
        }
    }
    let mut fields = name_field(name, &typed("name"), "Kebab-case. Its redirect URI ends in it.");
    fields.push(Field::own("label", "Label", "text", &typed("label")).help("What people choose."));
    fields.push(Field::own("connector", "For", "choice", &typed("connector")).required().choices(serves));
    fields.push(Field::own("client-id", "Client id", "text", &typed("client-id")).required());
    let mut secret = Field::own("client-secret", "Client secret", "secret", "");
    secret.name = "x.client-secret".into();
    secret.stored = has_secret;
    fields.push(if has_secret { secret.help("Leave it blank to keep the one that is stored.") } else { secret });
    let help =
        "Fields that it fills in besides, one NAME=VALUE a line; those that say where the service is, above all.";
    fields.push(
        Field::own("settings", "Settings", "lines", &typed("settings"))
            .help(help)
            .placeholder("url=https://example.com"),
    );
    Ok(Form::new(fields))
}

fn provider_page(entered: &Entered, status: StatusCode, name: &str, form: Form) -> Response {
    let headline = if name == NEW { "Add identity provider".to_owned() } else { format!("Identity provider {name}") };
    form_page(entered, status, "identity-providers", name, Put { form, ..blank(entered, &headline) })
}

pub(super) async fn form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    if name == NEW {
        let form = provider_fields(&console, &entered, &name, &|_| String::new(), false)?;
        return Ok(provider_page(&entered, StatusCode::OK, &name, form));
    }
    let view = console.host.identity_provider(&entered.actor, &name)?;
    let typed = |key: &str| match key {
        "label" => view.label.clone(),
        "connector" => format!("{} {}", view.connector, view.protocol),
        "client-id" => view.client_id.clone(),
        "settings" => {
            view.settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    let mut form = provider_fields(&console, &entered, &name, &typed, view.has_secret)?;
    if let (Some(base), Some(first)) = (console.base(), form.fields.first_mut())
        && let Ok(uri) = base.join(&view.callback)
    {
        first.help = format!("What people choose. The service must know its redirect URI, {uri}");
    }
    Ok(provider_page(&entered, StatusCode::OK, &name, form))
}

pub(super) async fn put(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let (connector, protocol) = posted.get("connector").split_once(' ').unwrap_or_default();
    let lines = posted.get("settings").lines().filter_map(|line| line.split_once('='));
    let settings: BTreeMap<String, String> =
        lines.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    let secret = posted.get("x.client-secret");
    let put = PutIdentityProvider {
        label: Some(posted.get("label").to_owned()).filter(|label| !label.is_empty()),
        connector: connector.to_owned(),
        protocol: protocol.to_owned(),
        client_id: posted.get("client-id").to_owned(),
        client_secret: Some(Secret::new(secret)).filter(|secret| !secret.is_empty()),
        settings,
    };
    let key = named(&name, &posted).to_owned();
    let outcome = match free(&name, &console.host.identity_provider(&entered.actor, &key)) {
        Ok(()) => console.host.put_identity_provider(&entered.actor, &key, put).await,
        Err(taken) => Err(taken),
    };
    let typed = |key: &str| posted.get(key).to_owned();
    let mut form = provider_fields(&console, &entered, &name, &typed, name != NEW)?;
    ended(&entered, outcome, &format!("The identity provider {key} is saved"), |status, problems, words| {
        form.blame(problems);
        words.iter().for_each(|words| form.object(words));
        provider_page(&entered, status, &name, form)
    })
}
