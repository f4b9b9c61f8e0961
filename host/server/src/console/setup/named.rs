//! Named credentials: the form, and how one signs in that is not there yet.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use turnbuckle::{
    CredentialProtocol, Error, Expected, FieldProblem, HeaderTemplate, NamedCredentialView, PrincipalKind,
    PutCredential, PutNamedCredential, WhatIf,
};

use super::put::{self, Chip, Kind, NEW, Saved, Sheet, below, label, name_field};
use super::{manages, whose};
use crate::console::answer::{Failed, page, segment, sentence};
use crate::console::form::{self, Field, Form};
use crate::console::frame::{Area, Frame};
use crate::console::gate::Posted;
use crate::console::{Console, Entered, words};

pub(super) struct NamedCredentials;

/// How a credential that is not there yet could sign in.
struct Choice {
    label: String,
    help: String,
    sign_in: &'static str,
    path: String,
}

#[derive(Template)]
#[template(path = "credential_choose.html")]
struct Choose {
    frame: Frame,
    headline: &'static str,
    protocols: Vec<Choice>,
    /// External credentials that are there already, for a named one to stand on.
    externals: Vec<Choice>,
}

/// The first step of a credential: how it signs in.
pub(super) fn choose(
    console: &Console,
    entered: &Entered,
    headline: &'static str,
    path: &str,
    on_another: bool,
) -> Result<Response, Failed> {
    let protocols = console.host.credential_protocols(&entered.actor)?.into_iter().map(|one| Choice {
        sign_in: words::sign_in(one.sign_in),
        path: format!("{path}?protocol={}", segment(&one.name)),
        label: one.label,
        help: one.help,
    });
    let there = if on_another { console.host.external_credentials(&entered.actor)? } else { Vec::new() };
    let externals = there.into_iter().map(|one| Choice {
        label: if one.label == one.name { one.name.clone() } else { format!("{} ({})", one.label, one.name) },
        help: String::new(),
        sign_in: words::sign_in(one.sign_in),
        path: format!("{path}?external-credential={}", segment(&one.name)),
    });
    let (protocols, externals) = (protocols.collect(), externals.collect());
    let frame = Frame::new(entered, Area::Setup, headline);
    Ok(page(StatusCode::OK, &Choose { frame, headline, protocols, externals }))
}

pub(super) async fn form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let chosen = |name: &str| form::asked(&query, name).is_some_and(|value| !value.is_empty());
    if name == NEW && !chosen("protocol") && !chosen("external-credential") {
        return choose(&console, &entered, "Add named credential", &NamedCredentials::path(NEW), true);
    }
    put::form::<NamedCredentials>(State(console), entered, Path(name), Query(query)).await
}

/// The protocol of this name.
pub(super) fn protocol(console: &Console, entered: &Entered, name: &str) -> Result<CredentialProtocol, Error> {
    let all = console.host.credential_protocols(&entered.actor)?;
    let found = all.into_iter().find(|one| one.name == name);
    found.ok_or_else(|| Error::NotFound { kind: "credential protocol", name: name.to_owned() })
}

/// Whose identity the principal is to be that is made along.
pub(super) fn kind(typed: &Posted) -> PrincipalKind {
    if typed.get("kind") == "per-user" { PrincipalKind::PerUser } else { PrincipalKind::Named }
}

/// Chosen before anything is typed, for it says what is asked.
pub(super) fn kinds(typed: &Posted, path: &str) -> Vec<Chip> {
    let chip = |one: PrincipalKind| Chip {
        label: whose(one),
        path: format!("{path}&kind={}", one.name()),
        here: kind(typed) == one,
    };
    vec![chip(PrincipalKind::Named), chip(PrincipalKind::PerUser)]
}

/// What a protocol, or a principal, is asked, with what stands in it.
pub(super) fn fields_of(fields: &[turnbuckle::Field], typed: &Posted, stored: &[String]) -> Vec<Field> {
    let values = form::settings(typed);
    let value = |field: &turnbuckle::Field| values.get(&field.name).map(String::as_str);
    fields.iter().map(|field| Field::of(field, value(field), stored.contains(&field.name))).collect()
}

pub(super) fn headers_field(lines: &str) -> Field {
    let help = "One NAME: VALUE a line. What stands in braces is a secret that each principal gives.";
    let field = Field::own("headers", "Headers", "lines", lines).required().help(help);
    field.placeholder("Authorization: Token {api-key}")
}

pub(super) fn headers(lines: &str) -> Result<Vec<HeaderTemplate>, Error> {
    let header = |line: &str| match line.split_once(':') {
        Some((name, value)) => Ok(HeaderTemplate { name: name.trim().to_owned(), value: value.trim().to_owned() }),
        None => {
            let message = format!("`{line}` is no header; write NAME: VALUE");
            Err(Error::Invalid { problems: vec![FieldProblem { field: "headers".into(), message }] })
        }
    };
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(header).collect()
}

/// What is wrong with one header is said beside the field that holds them all.
pub(super) fn of_headers(error: Error) -> Error {
    let Error::Invalid { problems } = error else { return error };
    let moved = |problem: FieldProblem| match problem.field.strip_prefix("headers.") {
        Some(name) => FieldProblem { message: format!("{name}: {}", problem.message), field: "headers".into() },
        None => problem,
    };
    Error::Invalid { problems: problems.into_iter().map(moved).collect() }
}

impl Kind for NamedCredentials {
    type View = NamedCredentialView;
    const NOUN: &'static str = "named credential";
    const LEANT_ON: bool = true;

    fn path(name: &str) -> String {
        format!("{}/edit", below("named-credentials", name))
    }

    fn removal(_name: &str) -> Option<String> {
        None
    }

    fn view(console: &Console, entered: &Entered, name: &str) -> Result<NamedCredentialView, Error> {
        console.host.named_credential(&entered.actor, name)
    }

    fn change(view: &NamedCredentialView) -> (u64, &str, Timestamp) {
        (view.version, &view.owner, view.updated_at)
    }

    fn stored(view: &NamedCredentialView) -> Posted {
        Posted::of([
            ("label", view.label.as_str()),
            ("url", view.url.as_str()),
            ("external-credential", view.external_credential.as_str()),
            ("enabled", if view.enabled { "true" } else { "false" }),
        ])
    }

    fn sheet(
        console: &Console,
        entered: &Entered,
        view: Option<&NamedCredentialView>,
        typed: &Posted,
    ) -> Result<Sheet, Failed> {
        let mut fields = name_field(view.is_none(), typed, "Kebab-case, as in `old-shop`.");
        fields.push(Field::own("label", "Label", "text", typed.get("label")).help("What people choose."));
        let url = Field::own("url", "Address", "url", typed.get("url")).required();
        fields.push(url.help("Where its connections send their requests.").placeholder("https://api.example.com"));
        let mut sheet = Sheet { back: Area::Setup.path().into(), ..Sheet::default() };
        match view {
            Some(view) => {
                let all = console.host.external_credentials(&entered.actor)?.into_iter();
                let all = all.map(|one| (one.name.clone(), format!("{} ({})", one.label, one.name))).collect();
                let stands_on = typed.get("external-credential");
                fields.push(
                    Field::own("external-credential", "External credential", "choice", stands_on)
                        .required()
                        .choices(all)
                        .help("How it signs in."),
                );
                let enabled = typed.all("enabled").last().unwrap_or("true");
                let help = "Where it is disabled, no connection can go by it.";
                fields.push(Field::own("enabled", "Enabled", "boolean", enabled).help(help));
                sheet.back = below("named-credentials", &view.name);
            }
            None if !typed.get("external-credential").is_empty() => {
                let on = typed.get("external-credential");
                let external = console.host.external_credential(&entered.actor, on)?;
                sheet.words = format!("It stands on the external credential {}.", external.name);
                sheet.hidden = vec![("external-credential", external.name)];
            }
            None => {
                let protocol = protocol(console, entered, typed.get("protocol"))?;
                sheet.words = format!("{}. {}", protocol.label, sentence(&protocol.help));
                sheet.chips = kinds(typed, &format!("{}?protocol={}", Self::path(NEW), segment(&protocol.name)));
                fields.extend(fields_of(&protocol.settings, typed, &[]));
                if protocol.name == "custom-headers" {
                    fields.push(headers_field(typed.get("headers")));
                }
                if kind(typed) == PrincipalKind::Named {
                    fields.extend(fields_of(&protocol.parameters, typed, &[]));
                }
                sheet.hidden = vec![("protocol", protocol.name), ("kind", kind(typed).name().to_owned())];
            }
        }
        if typed.get("refused") == "address-changed" || typed.has("accept") {
            let accepted = typed.all("accept").last().unwrap_or("false");
            let help = "What its principals hold was given for another address, and is sent to this one from then on.";
            fields.push(Field::own("accept", "Send what is stored to this address", "boolean", accepted).help(help));
        }
        sheet.form = Form::new(fields);
        Ok(sheet)
    }

    fn what_if(
        console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Option<WhatIf>, Error> {
        let put = given(console, entered, key, posted, expected)?;
        Ok(Some(WhatIf::PutNamedCredential { name: key.to_owned(), put: Box::new(put) }))
    }

    async fn put(
        console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> Result<Saved, Error> {
        let put = given(console, entered, key, posted, expected)?;
        let view = console.host.put_named_credential(&entered.actor, key, put).await.map_err(of_headers)?;
        let mut saved =
            Saved::new(format!("The named credential {} is saved", view.name), below("named-credentials", &view.name));
        saved.words = view.problem.as_deref().map(sentence).unwrap_or_default();
        Ok(saved)
    }
}

/// What was typed.
fn given(
    console: &Console,
    entered: &Entered,
    key: &str,
    posted: &Posted,
    expected: Expected,
) -> Result<PutNamedCredential, Error> {
    let given = |name: &str| Some(posted.get(name).to_owned()).filter(|text| !text.is_empty());
    let credential = match given("protocol").filter(|_| expected == Expected::Absent) {
        Some(protocol) => Some(along(console, entered, protocol, posted)?),
        None => None,
    };
    Ok(PutNamedCredential {
        label: label(posted, key),
        // What somebody emptied is missing, and not as it was.
        url: Some(posted.get("url").to_owned()),
        external_credential: given("external-credential"),
        enabled: posted.all("enabled").last().map(|enabled| enabled == "true"),
        accept: posted.all("accept").last() == Some("true"),
        credential,
        expected,
    })
}

/// What is made along with a named credential.
fn along(console: &Console, entered: &Entered, protocol: String, posted: &Posted) -> Result<PutCredential, Error> {
    let known = self::protocol(console, entered, &protocol)?;
    let mut settings = form::settings(posted);
    // Each user gives an own one.
    if kind(posted) == PrincipalKind::PerUser {
        settings.retain(|name, _| known.settings.iter().any(|field| field.name == *name));
    }
    let headers = if posted.has("headers") { Some(headers(posted.get("headers"))?) } else { None };
    let secrets = form::secrets(posted);
    Ok(PutCredential { protocol: Some(protocol), kind: Some(kind(posted)), headers, settings, secrets })
}
