//! A new connection: the connector, how it signs in, what it takes.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{
    ConnectorFilter, ConnectorView, Error, FieldKind, FieldProblem, IdentityProviderView, NamedCredentialView,
    NewConnection, Permission, PrincipalView, Protocol, SignIn, Visibility,
};

use super::answer::{Failed, page, segment, sentence, to};
use super::browse::origins;
use super::form::{self, Field, Form, asked};
use super::frame::{Area, Frame};
use super::gate::Posted;
use super::integrations::{Card, card};
use super::words::{self, Logo};
use super::{Console, Entered};

type Asked = Vec<(String, String)>;

#[derive(Template)]
#[template(path = "choose.html")]
struct Choose {
    frame: Frame,
    cards: Vec<Card>,
    installs: bool,
}

/// The first step.
pub(crate) async fn choose(State(console): State<Console>, entered: Entered) -> Result<Response, Failed> {
    may(&entered)?;
    let all = console.host.connectors(&entered.actor, &ConnectorFilter::default())?;
    let cards = all.iter().filter(|view| view.installed.enabled).map(card).collect();
    let frame = Frame::new(&entered, Area::Integrations, "New connection");
    Ok(page(StatusCode::OK, &Choose { frame, cards, installs: entered.may(Permission::ManageConnectors) }))
}

/// Whoever may not create is told so before anything is typed.
fn may(entered: &Entered) -> Result<(), Failed> {
    if entered.may(Permission::ManageConnections) {
        return Ok(());
    }
    Err(Error::Forbidden { permission: Permission::ManageConnections }.into())
}

/// One way to sign in, as the second step offers it.
struct Way {
    label: String,
    help: String,
    sign_in: &'static str,
    path: String,
    here: bool,
    /// Why it can't be chosen now.
    problem: Option<String>,
    /// Where that is mended by whoever looks.
    mend: Option<String>,
}

#[derive(Template)]
#[template(path = "new.html")]
struct New {
    frame: Frame,
    label: String,
    publisher: String,
    version: String,
    logo: Logo,
    origins: Vec<String>,
    deprecated: bool,
    documentation: Option<String>,
    action: String,
    ways: Vec<Way>,
    named: Vec<Way>,
    chosen: Option<Chosen>,
    form: Form,
    browser: bool,
}

impl New {
    /// The way that was chosen.
    fn here(&self) -> Option<&Way> {
        self.ways.iter().chain(&self.named).find(|way| way.here)
    }
}

/// The protocol that was chosen, and the operator's client for it; or a named credential.
#[derive(Debug, Clone, Default)]
struct Chosen {
    protocol: String,
    provider: String,
    named: String,
}

/// What an operator set up that a connection of one connector may go by.
struct Offered {
    providers: Vec<IdentityProviderView>,
    named: Vec<NamedCredentialView>,
    /// Principals that are open to whoever creates it.
    principals: Vec<PrincipalView>,
}

impl Offered {
    fn of(console: &Console, entered: &Entered, view: &ConnectorView) -> Result<Self, Failed> {
        let (host, actor) = (&console.host, &entered.actor);
        let providers = host.identity_providers(actor)?.into_iter();
        let own = providers.filter(|one| one.connector == view.installed.reference.name).collect();
        Ok(Self { providers: own, named: host.named_credentials(actor)?, principals: host.principals(actor)? })
    }

    /// Where whoever creates it signs in as the principal of this one.
    fn sign_in(&self, named: &NamedCredentialView) -> Option<String> {
        let mut own = self.principals.iter().filter(|one| one.external_credential == named.external_credential);
        own.next().map(|one| super::principal::path(&one.name))
    }

    fn named(&self, name: &str) -> Option<&NamedCredentialView> {
        self.named.iter().find(|one| one.name == name)
    }
}

/// The newest version with which connections may be made.
fn usable(console: &Console, entered: &Entered, name: &str) -> Result<ConnectorView, Failed> {
    let view = console.host.connector(&entered.actor, name)?;
    if view.installed.enabled {
        return Ok(view);
    }
    for version in &view.versions {
        let one = console.host.connector(&entered.actor, &format!("{}@{version}", view.installed.reference.name))?;
        if one.installed.enabled {
            return Ok(one);
        }
    }
    Err(Failed {
        status: StatusCode::CONFLICT,
        words: format!("{} is switched off: no new connections are made with it.", view.installed.descriptor.label),
        hint: Some("Somebody who looks after connectors can enable it.".into()),
        users: Vec::new(),
    })
}

pub(crate) async fn fields(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Asked>,
) -> Result<Response, Failed> {
    may(&entered)?;
    let view = usable(&console, &entered, &name)?;
    let offered = Offered::of(&console, &entered, &view)?;
    let of = |name: &str| asked(&query, name).unwrap_or_default().to_owned();
    let mut chosen =
        Chosen { protocol: of("protocol"), provider: of("identity-provider"), named: of("named-credential") };
    // What can't be used is not asked for.
    if offered.named(&chosen.named).is_none_or(|one| one.problem.is_some()) {
        chosen.named.clear();
    }
    // Where there is nothing to choose it is chosen.
    if let [only] = view.installed.descriptor.protocols.as_slice()
        && chosen.protocol.is_empty()
        && offered.providers.is_empty()
        && offered.named.is_empty()
    {
        chosen.protocol = only.name.clone();
    }
    let mut typed = Typed {
        name: of("name"),
        description: of("description"),
        private: of("visibility") == "private",
        settings: form::drafted(&query),
    };
    // What somebody emptied stays so.
    if asked(&query, "name").is_none() {
        typed.name = free_name(&console, &entered, &view);
    }
    let form = filled(&view, &chosen, &offered, &typed);
    Ok(shown(StatusCode::OK, &entered, &view, &offered, chosen, form))
}

/// What was typed, secrets aside.
#[derive(Default)]
struct Typed {
    name: String,
    description: String,
    private: bool,
    settings: BTreeMap<String, String>,
}

/// The connector's own name is a good one for the first connection.
fn free_name(console: &Console, entered: &Entered, view: &ConnectorView) -> String {
    let label = view.installed.descriptor.label.chars().take(60).collect::<String>();
    match console.host.connection(&entered.actor, &label) {
        Err(Error::NotFound { .. }) => label,
        Ok(_) | Err(_) => String::new(),
    }
}

fn filled(view: &ConnectorView, chosen: &Chosen, offered: &Offered, typed: &Typed) -> Form {
    let descriptor = &view.installed.descriptor;
    let protocol = descriptor.protocol(&chosen.protocol);
    if protocol.is_none() && offered.named(&chosen.named).is_none() {
        return Form::default();
    }
    let provider = offered.providers.iter().find(|one| one.name == chosen.provider);
    let provided = |name: &str| {
        provider.is_some_and(|one| ["client-id", "client-secret"].contains(&name) || one.settings.contains_key(name))
    };
    let mut fields = vec![
        Field::own("name", "Name", "text", &typed.name)
            .required()
            .help("What people and flows find it by. It can be changed later."),
        Field::own("description", "Description", "lines", &typed.description),
    ];
    // A named credential says where requests go and what proves them: the rest of what the connector asks is asked.
    let by_name = !chosen.named.is_empty();
    let given = |field: &turnbuckle::Field| {
        field.kind == FieldKind::Secret || descriptor.endpoint() == Some(field.name.as_str())
    };
    let asked = descriptor.settings.iter().filter(|field| !(by_name && given(field)));
    let asked = asked.chain(protocol.into_iter().filter(|_| !by_name).flat_map(|protocol| &protocol.fields));
    let asked = asked.filter(|field| !provided(&field.name));
    fields.extend(asked.map(|field| Field::of(field, typed.settings.get(&field.name).map(String::as_str), false)));
    fields.push(visibility_field(typed.private));
    Form::new(fields)
}

pub(crate) fn visibility_field(private: bool) -> Field {
    let choices = [("shared", Visibility::Shared), ("private", Visibility::Private)];
    let choices = choices.map(|(value, one)| (value.to_owned(), words::visibility(one).to_owned()));
    let now = if private { "private" } else { "shared" };
    Field::own("visibility", "Who may see it", "choice", now).required().choices(choices.into())
}

fn ways(view: &ConnectorView, chosen: &Chosen, providers: &[IdentityProviderView]) -> Vec<Way> {
    let base = format!("/integrations/new/{}", segment(view.installed.reference.name.as_str()));
    let way = |protocol: &Protocol, provider: Option<&IdentityProviderView>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("protocol", &protocol.name);
        let name = provider.map(|one| one.name.clone()).unwrap_or_default();
        if provider.is_some() {
            query.append_pair("identity-provider", &name);
        }
        Way {
            label: match provider {
                Some(one) => format!("{} with {}", protocol.label, one.label),
                None => protocol.label.clone(),
            },
            help: match provider {
                Some(_) => "An administrator set up the client: you only sign in.".to_owned(),
                None => protocol.help.clone().unwrap_or_default(),
            },
            sign_in: words::signs_in(protocol),
            path: format!("{base}?{}", query.finish()),
            here: chosen.named.is_empty() && chosen.protocol == protocol.name && chosen.provider == name,
            problem: None,
            mend: None,
        }
    };
    let mut all = Vec::new();
    for protocol in &view.installed.descriptor.protocols {
        let own = providers.iter().filter(|one| one.protocol == protocol.name);
        all.extend(own.map(|provider| way(protocol, Some(provider))));
        all.push(way(protocol, None));
    }
    all
}

/// Named credentials as the second step offers them.
fn by_name(view: &ConnectorView, chosen: &Chosen, offered: &Offered) -> Vec<Way> {
    let base = format!("/integrations/new/{}", segment(view.installed.reference.name.as_str()));
    let way = |one: &NamedCredentialView| Way {
        label: one.label.clone(),
        help: one.url.clone(),
        sign_in: "",
        path: format!("{base}?named-credential={}", segment(&one.name)),
        here: chosen.named == one.name,
        problem: one.problem.as_deref().map(sentence),
        mend: match (&one.problem, one.enabled) {
            (Some(_), true) => offered.sign_in(one),
            (Some(_), false) | (None, _) => None,
        },
    };
    offered.named.iter().map(way).collect()
}

fn shown(
    status: StatusCode,
    entered: &Entered,
    view: &ConnectorView,
    offered: &Offered,
    chosen: Chosen,
    form: Form,
) -> Response {
    let descriptor = &view.installed.descriptor;
    let protocol = descriptor.protocol(&chosen.protocol);
    let named = offered.named(&chosen.named);
    let action = format!("/integrations/new/{}", segment(view.installed.reference.name.as_str()));
    page(
        status,
        &New {
            frame: Frame::new(entered, Area::Integrations, &format!("New {} connection", descriptor.label)),
            label: descriptor.label.clone(),
            publisher: descriptor.publisher.clone(),
            version: view.installed.reference.version.to_string(),
            logo: words::logo(&view.installed).big(),
            origins: named.map_or_else(|| origins(&descriptor.origins), |named| vec![named.url.clone()]),
            deprecated: descriptor.lifecycle == turnbuckle::Lifecycle::Deprecated,
            documentation: documentation(descriptor.documentation.as_deref()),
            action,
            ways: ways(view, &chosen, &offered.providers),
            named: by_name(view, &chosen, offered),
            browser: named.is_none() && protocol.is_some_and(|protocol| protocol.sign_in == SignIn::Browser),
            chosen: (named.is_some() || protocol.is_some()).then_some(chosen),
            form,
        },
    )
}

/// A link of a third party: https, or no link.
pub(crate) fn documentation(url: Option<&str>) -> Option<String> {
    url.filter(|url| url.starts_with("https://")).map(str::to_owned)
}

pub(crate) async fn create(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let view = usable(&console, &entered, &name)?;
    let offered = Offered::of(&console, &entered, &view)?;
    let chosen = Chosen {
        protocol: posted.get("protocol").to_owned(),
        provider: posted.get("identity-provider").to_owned(),
        named: posted.get("named-credential").to_owned(),
    };
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let typed = Typed {
        name: posted.get("name").to_owned(),
        description: posted.get("description").to_owned(),
        private: posted.get("visibility") == "private",
        settings: form::settings(&posted),
    };
    let new = NewConnection {
        name: typed.name.clone(),
        description: typed.description.clone(),
        connector: view.installed.reference.name.to_string(),
        connector_version: Some(view.installed.reference.version.clone()),
        protocol: Some(chosen.protocol.clone()).filter(|name| !name.is_empty() || chosen.named.is_empty()),
        settings: typed.settings.clone(),
        secrets: form::secrets(&posted),
        identity_provider: given(&chosen.provider),
        named_credential: given(&chosen.named),
        tokens: None,
        visibility: if typed.private { Visibility::Private } else { Visibility::Shared },
    };
    let wrong = |problems: Vec<FieldProblem>, words: Option<String>, status: StatusCode| {
        let mut form = filled(&view, &chosen, &offered, &typed);
        // It is no field of the form: what is wrong with it is said of the whole.
        let (of_named, of_fields): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.field == "named-credential");
        form.blame(of_fields);
        of_named.iter().for_each(|problem| form.object(&problem.message));
        if let Some(words) = words {
            form.object(&words);
        }
        shown(status, &entered, &view, &offered, chosen.clone(), form)
    };
    match console.host.create_connection(&entered.actor, new).await {
        Ok(made) => {
            if !made.complete {
                entered.tell("warn", format!("{} is created; one step is left", made.name), "Sign in at the service.");
            } else if let Some(verdict) = &made.verdict {
                let judged = words::judged(verdict);
                let headline = match verdict.passed() {
                    true => format!("{} is created and works", made.name),
                    false => format!("{} is created, and its test did not pass", made.name),
                };
                entered.tell(judged.tone, headline, "");
            }
            Ok(to(&format!("/connections/{}", made.id)))
        }
        Err(Error::Invalid { problems }) => Ok(wrong(problems, None, StatusCode::UNPROCESSABLE_ENTITY)),
        // What a service or a rule said stands above what was typed, which is not lost.
        Err(error @ (Error::Upstream { .. } | Error::Refused { .. })) => {
            let hint = error.hint().map(|hint| format!(" {}", sentence(hint))).unwrap_or_default();
            let words = format!("{}{hint}", sentence(&error.to_string()));
            let failed = Failed::from(error);
            Ok(wrong(Vec::new(), Some(words), failed.status))
        }
        Err(error) => Err(error.into()),
    }
}
