//! Identity providers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use turnbuckle::{
    ConnectorFilter, Error, Expected, FieldProblem, IdentityProviderView, PutIdentityProvider, Secret, SignIn, WhatIf,
};

use super::put::{Kind, Saved, Sheet, below, label, name_field};
use crate::console::answer::Failed;
use crate::console::form::{Field, Form};
use crate::console::frame::Area;
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

pub(super) struct Providers;

impl Kind for Providers {
    type View = IdentityProviderView;
    const NOUN: &'static str = "identity provider";
    const LEANT_ON: bool = true;

    fn path(name: &str) -> String {
        below("identity-providers", name)
    }

    fn view(console: &Console, entered: &Entered, name: &str) -> Result<IdentityProviderView, Error> {
        console.host.identity_provider(&entered.actor, name)
    }

    fn change(view: &IdentityProviderView) -> (u64, &str, Timestamp) {
        (view.version, &view.owner, view.updated_at)
    }

    fn stored(view: &IdentityProviderView) -> Posted {
        let settings: Vec<_> = view.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Posted::of([
            ("label", view.label.clone()),
            ("connector", format!("{} {}", view.connector, view.protocol)),
            ("client-id", view.client_id.clone()),
            ("settings", settings.join("\n")),
        ])
    }

    fn sheet(
        console: &Console,
        entered: &Entered,
        view: Option<&IdentityProviderView>,
        typed: &Posted,
    ) -> Result<Sheet, Failed> {
        let mut fields = name_field(view.is_none(), typed, "Kebab-case. Its redirect URI ends in it.");
        let mut said = "What people choose.".to_owned();
        if let (Some(base), Some(view)) = (console.base(), view)
            && let Ok(uri) = base.join(&view.callback)
        {
            said = format!("{said} The service must know its redirect URI, {uri}");
        }
        fields.push(Field::own("label", "Label", "text", typed.get("label")).help(&said));
        let serves = serves(console, entered)?;
        fields.push(Field::own("connector", "For", "choice", typed.get("connector")).required().choices(serves));
        fields.push(Field::own("client-id", "Client id", "text", typed.get("client-id")).required());
        fields.push(Field::secret("client-secret", "Client secret", view.is_some_and(|view| view.has_secret)));
        let help =
            "Fields that it fills in besides, one NAME=VALUE a line; those that say where the service is, above all.";
        let settings = Field::own("settings", "Settings", "lines", typed.get("settings")).help(help);
        fields.push(settings.placeholder("url=https://example.com"));
        Ok(Sheet { form: Form::new(fields), back: Area::Setup.path().into(), ..Sheet::default() })
    }

    fn what_if(
        _console: &Console,
        _entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Option<WhatIf>, Error> {
        let put = given(key, posted, expected)?;
        Ok(Some(WhatIf::PutIdentityProvider { name: key.to_owned(), put }))
    }

    async fn put(
        console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Saved, Error> {
        let put = given(key, posted, expected)?;
        let provider = console.host.put_identity_provider(&entered.actor, key, put).await?;
        Ok(Saved::new(format!("The identity provider {} is saved", provider.name), Area::Setup.path()))
    }
}

/// What was typed.
fn given(key: &str, posted: &Posted, expected: Expected) -> Result<PutIdentityProvider, Error> {
    let (connector, protocol) = posted.get("connector").split_once(' ').unwrap_or_default();
    Ok(PutIdentityProvider {
        label: label(posted, key),
        connector: connector.to_owned(),
        protocol: protocol.to_owned(),
        client_id: posted.get("client-id").to_owned(),
        client_secret: Some(Secret::new(posted.get("x.client-secret"))).filter(|secret| !secret.is_empty()),
        settings: settings(posted.get("settings"))?,
        expected,
    })
}

/// Protocols that take a client of the operator's.
fn serves(console: &Console, entered: &Entered) -> Result<Vec<(String, String)>, Failed> {
    let all = console.host.connectors(&entered.actor, &ConnectorFilter::default())?;
    let mut serves = Vec::new();
    for view in &all {
        let descriptor = &view.installed.descriptor;
        for protocol in descriptor.protocols.iter().filter(|protocol| protocol.sign_in != SignIn::None) {
            let value = format!("{} {}", view.installed.reference.name, protocol.name);
            serves.push((value, format!("{}, {}", descriptor.label, protocol.label)));
        }
    }
    Ok(serves)
}

fn settings(lines: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut settings = BTreeMap::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once('=') else {
            let message = format!("`{line}` is no setting; write NAME=VALUE");
            return Err(Error::Invalid { problems: vec![FieldProblem { field: "settings".into(), message }] });
        };
        settings.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(settings)
}
