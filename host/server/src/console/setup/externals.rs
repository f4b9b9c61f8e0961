//! External credentials: how a service is signed in to, whoever does it.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use turnbuckle::{Error, Expected, ExternalCredentialView, HeaderTemplate, PutExternalCredential, WhatIf};

use super::manages;
use super::named::{choose, fields_of, headers, headers_field, of_headers, protocol};
use super::put::{self, Kind, NEW, Saved, Sheet, below, label, name_field};
use crate::console::answer::{Failed, sentence};
use crate::console::form::{self, Field, Form, SETTING};
use crate::console::frame::Area;
use crate::console::gate::Posted;
use crate::console::{Console, Entered};

pub(super) struct Externals;

pub(super) async fn form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    if name == NEW && form::asked(&query, "protocol").is_none_or(str::is_empty) {
        return choose(&console, &entered, "Add external credential", &Externals::path(NEW), false);
    }
    put::form::<Externals>(State(console), entered, Path(name), Query(query)).await
}

fn lines(headers: &[HeaderTemplate]) -> String {
    headers.iter().map(|header| format!("{}: {}", header.name, header.value)).collect::<Vec<_>>().join("\n")
}

impl Kind for Externals {
    type View = ExternalCredentialView;
    const NOUN: &'static str = "external credential";
    const LEANT_ON: bool = true;

    fn path(name: &str) -> String {
        format!("{}/edit", below("external-credentials", name))
    }

    fn removal(name: &str) -> Option<String> {
        Some(format!("{}/remove", below("external-credentials", name)))
    }

    fn view(console: &Console, entered: &Entered, name: &str) -> Result<ExternalCredentialView, Error> {
        console.host.external_credential(&entered.actor, name)
    }

    fn change(view: &ExternalCredentialView) -> (u64, &str, Timestamp) {
        (view.version, &view.owner, view.updated_at)
    }

    fn stored(view: &ExternalCredentialView) -> Posted {
        let own = [("label".to_owned(), view.label.clone()), ("headers".to_owned(), lines(&view.headers))];
        let settings = view.settings.iter().map(|(name, value)| (format!("{SETTING}{name}"), value.clone()));
        Posted::of(own.into_iter().chain(settings))
    }

    fn sheet(
        console: &Console,
        entered: &Entered,
        view: Option<&ExternalCredentialView>,
        typed: &Posted,
    ) -> Result<Sheet, Failed> {
        let mut fields = name_field(view.is_none(), typed, "Kebab-case, as in `old-shop`.");
        fields.push(Field::own("label", "Label", "text", typed.get("label")));
        let name = view.map_or(typed.get("protocol"), |view| &view.protocol);
        let protocol = protocol(console, entered, name)?;
        let stored = view.map(|view| view.secrets.clone()).unwrap_or_default();
        let mut asked = fields_of(&protocol.settings, typed, &stored);
        if view.is_some() {
            // What was taken away stays away: a default is for what is new.
            let values = form::settings(typed);
            for field in asked.iter_mut().filter(|field| !values.contains_key(&field.key)) {
                field.value.clear();
            }
        }
        fields.extend(asked);
        if protocol.name == "custom-headers" {
            fields.push(headers_field(typed.get("headers")));
        }
        Ok(Sheet {
            form: Form::new(fields),
            words: format!("{}. {}", protocol.label, sentence(&protocol.help)),
            hidden: if view.is_none() { vec![("protocol", protocol.name)] } else { Vec::new() },
            back: view.map_or_else(|| Area::Setup.path().into(), |view| below("external-credentials", &view.name)),
            ..Sheet::default()
        })
    }

    fn what_if(
        _console: &Console,
        _entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Option<WhatIf>, Error> {
        let put = given(key, posted, expected)?;
        Ok(Some(WhatIf::PutExternalCredential { name: key.to_owned(), put }))
    }

    async fn put(
        console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Saved, Error> {
        let put = given(key, posted, expected)?;
        let view = console.host.put_external_credential(&entered.actor, key, put).await.map_err(of_headers)?;
        Ok(Saved::new(format!("The external credential {} is saved", view.name), home(&view)))
    }
}

/// What was typed.
fn given(key: &str, posted: &Posted, expected: Expected) -> Result<PutExternalCredential, Error> {
    Ok(PutExternalCredential {
        label: label(posted, key),
        protocol: Some(posted.get("protocol").to_owned()).filter(|_| expected == Expected::Absent),
        settings: form::settings(posted),
        headers: if posted.has("headers") { Some(headers(posted.get("headers"))?) } else { None },
        secrets: form::secrets(posted),
        expected,
    })
}

/// Where one is shown: with its named credential, where it has one of its own.
pub(super) fn home(view: &ExternalCredentialView) -> String {
    match view.named_credentials.as_slice() {
        [only] => below("named-credentials", only),
        _ => below("external-credentials", &view.name),
    }
}
