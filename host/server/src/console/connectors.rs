//! Installed connectors: what each may reach, its versions, and what is done to it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{ConnectorFilter, ConnectorView, Descriptor, Error, Permission, Upgrade, UpgradeReport};

use super::answer::{Failed, page, segment, sentence, to};
use super::browse::origins;
use super::create::documentation;
use super::form::{Form, asked};
use super::frame::{Area, Frame};
use super::gate::Posted;
use super::words::{self, Logo, Mark, Moment};
use super::{Console, Entered};

struct Row {
    name: String,
    label: String,
    publisher: String,
    logo: Logo,
    versions: String,
    lifecycle: &'static str,
    status: Mark,
    featured: bool,
    connections: u64,
}

#[derive(Template)]
#[template(path = "connectors.html")]
struct Connectors {
    frame: Frame,
    rows: Vec<Row>,
}

fn manages(entered: &Entered) -> Result<(), Failed> {
    if entered.may(Permission::ManageConnectors) {
        return Ok(());
    }
    Err(Error::Forbidden { permission: Permission::ManageConnectors }.into())
}

pub(crate) async fn list(State(console): State<Console>, entered: Entered) -> Result<Response, Failed> {
    manages(&entered)?;
    let all = console.host.connectors(&entered.actor, &ConnectorFilter::default())?;
    let row = |view: &ConnectorView| Row {
        name: view.installed.reference.name.to_string(),
        label: view.installed.descriptor.label.clone(),
        publisher: view.installed.descriptor.publisher.clone(),
        logo: words::logo(&view.installed),
        versions: view.versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        lifecycle: words::lifecycle(view.installed.descriptor.lifecycle),
        status: words::switch(view.installed.enabled),
        featured: view.installed.featured,
        connections: view.connections,
    };
    let frame = Frame::new(&entered, Area::Connectors, Area::Connectors.name());
    Ok(page(StatusCode::OK, &Connectors { frame, rows: all.iter().map(row).collect() }))
}

/// What a connector says of itself, as its page and an install show it.
struct About {
    label: String,
    publisher: String,
    summary: String,
    name: String,
    version: String,
    digest: String,
    size: String,
    lifecycle: &'static str,
    origins: Vec<String>,
    protocols: Vec<(String, &'static str)>,
    imports: Vec<String>,
    documentation: Option<String>,
}

impl About {
    fn of(descriptor: &Descriptor, digest: &str, size: u64, imports: &[String]) -> Self {
        let protocols = descriptor.protocols.iter();
        Self {
            label: descriptor.label.clone(),
            publisher: descriptor.publisher.clone(),
            summary: descriptor.summary.clone(),
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            digest: digest.to_owned(),
            size: words::size(size),
            lifecycle: words::lifecycle(descriptor.lifecycle),
            origins: origins(&descriptor.origins),
            protocols: protocols.map(|one| (one.label.clone(), words::signs_in(one))).collect(),
            imports: imports.to_vec(),
            documentation: documentation(descriptor.documentation.as_deref()),
        }
    }
}

#[derive(Template)]
#[template(path = "connector.html")]
struct ConnectorPage {
    frame: Frame,
    path: String,
    about: About,
    logo: Logo,
    status: Mark,
    enabled: bool,
    creates: bool,
    featured: bool,
    versions: Vec<String>,
    connections: u64,
    installed: Moment,
    installed_by: String,
}

fn path_of(view: &ConnectorView) -> String {
    format!("/connectors/{}", segment(view.installed.reference.name.as_str()))
}

pub(crate) async fn show(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let view = console.host.connector(&entered.actor, &name)?;
    let installed = &view.installed;
    Ok(page(
        StatusCode::OK,
        &ConnectorPage {
            frame: Frame::new(&entered, Area::Connectors, &installed.descriptor.label),
            path: path_of(&view),
            about: About::of(
                &installed.descriptor,
                installed.reference.digest.as_str(),
                installed.size,
                &installed.surface.imports,
            ),
            logo: words::logo(installed).big(),
            status: words::switch(installed.enabled),
            enabled: installed.enabled,
            creates: entered.may(Permission::ManageConnections),
            featured: installed.featured,
            versions: view.versions.iter().map(ToString::to_string).collect(),
            connections: view.connections,
            installed: words::moment(installed.installed_at, console.host.now()),
            installed_by: installed.installed_by.clone(),
        },
    ))
}

pub(crate) async fn switch(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let (host, actor) = (&console.host, &entered.actor);
    let (view, words) = match posted.get("do") {
        "enable" => (host.enable_connector(actor, &name, true).await?, "is enabled"),
        "disable" => (host.enable_connector(actor, &name, false).await?, "is disabled: no new connections"),
        "feature" => (host.feature_connector(actor, &name, true).await?, "stands under Get started"),
        "unfeature" => (host.feature_connector(actor, &name, false).await?, "no longer stands under Get started"),
        _ => {
            let failed = Failed {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                words: "The form does not say what to do.".into(),
                hint: None,
                users: Vec::new(),
            };
            return Err(failed);
        }
    };
    entered.tell("good", format!("{} {words}", view.installed.descriptor.label), "");
    Ok(to(&path_of(&view)))
}

#[derive(Template)]
#[template(path = "install.html")]
struct Install {
    frame: Frame,
    form: Form,
    checked: Option<About>,
    /// What the version that is there does not ask for.
    widened: Vec<String>,
    present: Option<String>,
}

fn install_page(entered: &Entered, status: StatusCode, form: Form) -> Response {
    let frame = Frame::new(entered, Area::Connectors, "Install a connector");
    page(status, &Install { frame, form, checked: None, widened: Vec::new(), present: None })
}

pub(crate) async fn install_form(entered: Entered) -> Result<Response, Failed> {
    manages(&entered)?;
    Ok(install_page(&entered, StatusCode::OK, Form::default()))
}

/// In two steps: a component is judged and shows what it asks for, and is installed by a second word.
pub(crate) async fn install(
    State(console): State<Console>,
    entered: Entered,
    posted: Posted,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let wrong = |words: &str| {
        let mut form = Form::default();
        form.object(words);
        install_page(&entered, StatusCode::UNPROCESSABLE_ENTITY, form)
    };
    if let Some(component) = posted.file.clone() {
        if component.is_empty() {
            return Ok(wrong("Choose a file first"));
        }
        let report = match console.host.check_connector(&entered.actor, component.clone()).await {
            Ok(report) => report,
            Err(Error::Invalid { problems }) => {
                let mut form = Form::default();
                form.blame(problems);
                return Ok(install_page(&entered, StatusCode::UNPROCESSABLE_ENTITY, form));
            }
            Err(error @ Error::Refused { .. }) => return Ok(wrong(&error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let present = console.host.connector(&entered.actor, &report.descriptor.name).ok();
        let known = present.as_ref().map(|view| view.installed.descriptor.origins.clone()).unwrap_or_default();
        let new: Vec<String> =
            report.descriptor.origins.iter().filter(|origin| !known.contains(origin)).cloned().collect();
        entered.hold(&report.digest, component);
        return Ok(page(
            StatusCode::OK,
            &Install {
                frame: Frame::new(&entered, Area::Connectors, "Install a connector"),
                form: Form::default(),
                checked: Some(About::of(&report.descriptor, &report.digest, report.size, &report.surface.imports)),
                widened: if present.is_some() { origins(&new) } else { Vec::new() },
                present: present.map(|view| view.installed.reference.version.to_string()),
            },
        ));
    }
    let Some(component) = entered.held(posted.get("digest")) else {
        return Ok(wrong("The component is no longer here: choose its file once more"));
    };
    let report = console.host.install_connector(&entered.actor, component).await?;
    let descriptor = &report.connector.descriptor;
    entered.tell("good", format!("{} {} is installed", descriptor.label, descriptor.version), "");
    Ok(to(&format!("/connectors/{}", segment(report.connector.reference.name.as_str()))))
}

#[derive(Template)]
#[template(path = "upgrade.html")]
struct UpgradePage {
    frame: Frame,
    path: String,
    label: String,
    report: UpgradeReport,
    waiting: bool,
}

fn wanted(to: &str, accept: bool, dry_run: bool) -> Result<Upgrade, Failed> {
    let to = Some(to).filter(|text| !text.is_empty()).map(|text| text.parse::<semver::Version>());
    let to = to.transpose().map_err(|error| Failed {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        words: sentence(&format!("this is no version: {error}")),
        hint: None,
        users: Vec::new(),
    })?;
    Ok(Upgrade { to, accept, dry_run })
}

/// What an upgrade would change, side by side.
pub(crate) async fn upgrade_plan(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let view = console.host.connector(&entered.actor, &name)?;
    let upgrade = wanted(asked(&query, "to").unwrap_or_default(), true, true)?;
    let report = console.host.upgrade_connector(&entered.actor, &name, upgrade).await?;
    let label = view.installed.descriptor.label.clone();
    let frame = Frame::new(&entered, Area::Connectors, "Upgrade connections").below(&label, path_of(&view));
    let waiting = report.connections.iter().any(|row| row.from != report.to);
    Ok(page(StatusCode::OK, &UpgradePage { frame, path: path_of(&view), label, report, waiting }))
}

pub(crate) async fn upgrade(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let upgrade = wanted(posted.get("to"), posted.all("accept").last() == Some("true"), false)?;
    let report = console.host.upgrade_connector(&entered.actor, &name, upgrade).await?;
    let moved = report.connections.iter().filter(|row| row.moved).count();
    let kept = report.connections.iter().filter(|row| !row.moved && !row.attention.is_empty());
    let kept: Vec<_> = kept.map(|row| format!("{}: {}", row.name, row.attention.join("; "))).collect();
    let words = if kept.is_empty() { String::new() } else { format!("Not moved: {}", kept.join(" · ")) };
    let count = if moved == 1 { "One connection".to_owned() } else { format!("{moved} connections") };
    entered.tell(if kept.is_empty() { "good" } else { "warn" }, format!("{count} moved to {}", report.to), words);
    Ok(to(&format!("/connectors/{}", segment(&name))))
}

#[derive(Template)]
#[template(path = "remove.html")]
struct Remove {
    frame: Frame,
    headline: String,
    words: String,
    action: String,
    back: String,
}

pub(crate) async fn remove_form(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let view = console.host.connector(&entered.actor, &name)?;
    let label = view.installed.descriptor.label.clone();
    let path = path_of(&view);
    let frame = Frame::new(&entered, Area::Connectors, "Remove").below(&label, path.clone());
    let words = match view.connections {
        0 => "All of its versions are removed. No connection uses it.".to_owned(),
        1 => "One connection uses it: it can't be removed before that is deleted.".to_owned(),
        many => format!("{many} connections use it: it can't be removed before these are deleted."),
    };
    let action = format!("/connectors/{}/remove", segment(&name));
    Ok(page(StatusCode::OK, &Remove { frame, headline: format!("Remove {label}?"), words, action, back: path }))
}

pub(crate) async fn remove(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
) -> Result<Response, Failed> {
    console.host.remove_connector(&entered.actor, &name).await?;
    entered.tell("good", format!("{name} is removed"), "");
    Ok(to(Area::Connectors.path()))
}
