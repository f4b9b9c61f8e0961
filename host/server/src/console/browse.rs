//! Connectors to begin with.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{ConnectorFilter, ConnectorView, Lifecycle, Permission, SignIn};

use super::answer::{Failed, page};
use super::form::asked;
use super::frame::{Area, Frame};
use super::integrations::{Card, card};
use super::{Console, Entered, words};

struct Offer {
    card: Card,
    version: String,
    categories: Vec<String>,
    lifecycle: &'static str,
    sign_ins: Vec<&'static str>,
    /// Where its connections may send requests.
    origins: Vec<String>,
}

struct Choice {
    value: String,
    label: String,
    here: bool,
}

#[derive(Template)]
#[template(path = "browse.html")]
struct Browse {
    frame: Frame,
    text: String,
    categories: Vec<Choice>,
    sign_ins: Vec<Choice>,
    lifecycles: Vec<Choice>,
    offers: Vec<Offer>,
    total: usize,
    creates: bool,
    installs: bool,
}

const SIGN_INS: [(&str, SignIn); 3] =
    [("fields", SignIn::None), ("unattended", SignIn::Unattended), ("browser", SignIn::Browser)];
const LIFECYCLES: [(&str, Lifecycle); 3] = [
    ("generally-available", Lifecycle::GenerallyAvailable),
    ("beta", Lifecycle::Beta),
    ("deprecated", Lifecycle::Deprecated),
];

pub(crate) async fn list(
    State(console): State<Console>,
    entered: Entered,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let of = |name: &str| asked(&query, name).unwrap_or_default();
    let all = console.host.connectors(&entered.actor, &ConnectorFilter::default())?;
    let mut categories: Vec<String> =
        all.iter().flat_map(|view| view.installed.descriptor.categories.iter().cloned()).collect();
    categories.sort();
    categories.dedup();
    let text = Some(of("text")).filter(|text| !text.is_empty()).map(str::to_owned);
    let category = Some(of("category")).filter(|text| !text.is_empty()).map(str::to_owned);
    let filter = ConnectorFilter { text, category, featured: None };
    let (sign_in, lifecycle) = (of("sign-in"), of("lifecycle"));
    let fits = |view: &ConnectorView| {
        let descriptor = &view.installed.descriptor;
        let sign_in = SIGN_INS.iter().find(|(name, _)| *name == sign_in).map(|(_, sign_in)| *sign_in);
        let lifecycle = LIFECYCLES.iter().find(|(name, _)| *name == lifecycle).map(|(_, lifecycle)| *lifecycle);
        view.installed.enabled
            && sign_in.is_none_or(|wanted| descriptor.protocols.iter().any(|protocol| protocol.sign_in == wanted))
            && lifecycle.is_none_or(|wanted| descriptor.lifecycle == wanted)
    };
    let offers = console.host.connectors(&entered.actor, &filter)?;
    let choice = |value: &str, label: &str, now: &str| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        here: value == now,
    };
    Ok(page(
        StatusCode::OK,
        &Browse {
            frame: Frame::new(&entered, Area::Integrations, "Browse connectors"),
            text: of("text").to_owned(),
            categories: categories.iter().map(|name| choice(name, name, of("category"))).collect(),
            sign_ins: SIGN_INS.iter().map(|(name, one)| choice(name, words::sign_in(*one), sign_in)).collect(),
            lifecycles: LIFECYCLES.iter().map(|(name, one)| choice(name, words::lifecycle(*one), lifecycle)).collect(),
            offers: offers.iter().filter(|view| fits(view)).map(offer).collect(),
            total: all.len(),
            creates: entered.may(Permission::ManageConnections),
            installs: entered.may(Permission::ManageConnectors),
        },
    ))
}

fn offer(view: &ConnectorView) -> Offer {
    let descriptor = &view.installed.descriptor;
    let mut sign_ins: Vec<_> = descriptor.protocols.iter().map(|protocol| words::signs_in(protocol)).collect();
    sign_ins.sort_unstable();
    sign_ins.dedup();
    Offer {
        card: card(view),
        version: view.installed.reference.version.to_string(),
        categories: descriptor.categories.clone(),
        lifecycle: match descriptor.lifecycle {
            Lifecycle::GenerallyAvailable => "",
            other @ (Lifecycle::Beta | Lifecycle::Deprecated) => words::lifecycle(other),
        },
        sign_ins,
        origins: origins(&descriptor.origins),
    }
}

/// Templates as a person reads them: `{url}` is what is typed there.
pub(crate) fn origins(templates: &[String]) -> Vec<String> {
    templates.iter().map(|template| template.replace(['{', '}'], "")).map(readable).collect()
}

fn readable(text: String) -> String {
    // A template of nothing but one field is that field.
    if text.contains('.') || text.contains(':') { text } else { format!("what you enter as “{text}”") }
}
