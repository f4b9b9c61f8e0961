//! The form by which one thing of setup is added or changed.
//!
//! A form is drawn from what stands in it, and that is always the same shape: what is stored, what was posted and did not fit,
//! or what was typed before a session was over. It carries the version that it was drawn on, so that nobody overrules what they
//! have not seen.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use turnbuckle::{Error, Expected, FieldProblem, Permission, Preview, Secret, WhatIf};

use super::accounts::Accounts;
use super::manages;
use crate::console::answer::{Failed, page, segment, sentence, to};
use crate::console::form::{Field, Form};
use crate::console::frame::{Area, Frame};
use crate::console::gate::{Posted, SECRET};
use crate::console::preview::{self, Told};
use crate::console::words::{self, Moment};
use crate::console::{Console, Entered};

/// Stands in a path for the name of what is not there yet: no name holds it.
pub(super) const NEW: &str = "+";

/// One kind of thing that is set up by a form.
pub(super) trait Kind {
    /// As people see it.
    type View: Send;
    /// In the words of people.
    const NOUN: &'static str;
    /// Whether connections may lean on it, so that a change can be asked about first.
    const LEANT_ON: bool = false;

    /// The page on which its form stands, and to which it is sent.
    fn path(name: &str) -> String;
    /// The window before it is removed, where that begins on this page.
    fn removal(name: &str) -> Option<String> {
        Some(format!("{}/remove", Self::path(name)))
    }
    fn view(console: &Console, entered: &Entered, name: &str) -> Result<Self::View, Error>;
    /// Its version, by whom, and when it was changed.
    fn change(view: &Self::View) -> (u64, &str, jiff::Timestamp);
    /// What stands in the form of one that is there.
    fn stored(view: &Self::View) -> Posted;
    /// The form with what stands in it.
    fn sheet(console: &Console, entered: &Entered, view: Option<&Self::View>, typed: &Posted) -> Result<Sheet, Failed>;
    /// The change that was typed, to be asked about.
    fn what_if(
        _console: &Console,
        _entered: &Entered,
        _key: &str,
        _posted: &Posted,
        _expected: Expected,
    ) -> Result<Option<WhatIf>, Error> {
        Ok(None)
    }
    /// Puts what was typed.
    fn put(
        console: &Console,
        entered: &Entered,
        key: &str,
        posted: &Posted,
        expected: Expected,
    ) -> impl Future<Output = Result<Saved, Error>> + Send;
}

/// What a form asks.
#[derive(Default)]
pub(super) struct Sheet {
    pub(super) form: Form,
    pub(super) groups: Vec<Ticks>,
    /// What is chosen before anything is typed, for it says what is asked.
    pub(super) chips: Vec<Chip>,
    /// What was chosen on the page before.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// What is said above the fields.
    pub(super) words: String,
    /// Where somebody goes who does not save.
    pub(super) back: String,
    /// What is below the form: the accounts of a user.
    pub(super) accounts: Option<Accounts>,
}

/// One of several ways to go on.
pub(super) struct Chip {
    pub(super) label: &'static str,
    pub(super) path: String,
    pub(super) here: bool,
}

/// Boxes that belong together.
pub(super) struct Ticks {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) help: &'static str,
    pub(super) ticks: Vec<Tick>,
}

pub(super) struct Tick {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) label: String,
    pub(super) on: bool,
    /// How it stands now, where somebody else was first.
    pub(super) note: &'static str,
}

impl Tick {
    pub(super) fn new(name: &'static str, value: impl Into<String>, label: impl Into<String>, on: bool) -> Self {
        Self { name, value: value.into(), label: label.into(), on, note: "" }
    }
}

/// What was put.
pub(super) struct Saved {
    pub(super) headline: String,
    pub(super) words: String,
    pub(super) to: String,
    /// What is told this once.
    pub(super) secret: Option<Once>,
}

impl Saved {
    pub(super) fn new(headline: String, to: impl Into<String>) -> Self {
        Self { headline, words: String::new(), to: to.into(), secret: None }
    }
}

/// A secret that is shown once.
pub(super) struct Once {
    pub(super) headline: String,
    pub(super) label: &'static str,
    pub(super) secret: Secret,
}

#[derive(Template)]
#[template(path = "put.html")]
struct Put {
    frame: Frame,
    headline: String,
    action: String,
    version: Option<u64>,
    conflict: Option<Conflict>,
    /// What the change would do, where it was asked about.
    preview: Option<Told>,
    /// Whether it can be.
    asks: bool,
    form: Form,
    sheet: Sheet,
    remove: Option<String>,
}

/// Who was first.
pub(super) struct Conflict {
    noun: &'static str,
    by: String,
    at: Moment,
}

#[derive(Template)]
#[template(path = "once.html")]
struct OncePage {
    frame: Frame,
    once: Once,
    to: String,
}

pub(super) fn once(entered: &Entered, once: Once, to: String) -> Response {
    let frame = Frame::new(entered, Area::Setup, &once.headline);
    page(StatusCode::OK, &OncePage { frame, once, to })
}

pub(super) fn drawn<K: Kind>(
    entered: &Entered,
    status: StatusCode,
    name: &str,
    (sheet, version, conflict): (Sheet, Option<u64>, Option<Conflict>),
    preview: Option<Told>,
) -> Response {
    let new = name == NEW;
    let headline = if new { format!("Add {}", K::NOUN) } else { sentence_of(K::NOUN, name) };
    let (frame, action) = (Frame::new(entered, Area::Setup, &headline), K::path(name));
    let remove = if new { None } else { K::removal(name) };
    let (mut sheet, asks) = (sheet, K::LEANT_ON && !new);
    let form = std::mem::take(&mut sheet.form);
    page(status, &Put { frame, headline, action, version, conflict, preview, asks, form, sheet, remove })
}

fn sentence_of(noun: &str, name: &str) -> String {
    let mut letters = noun.chars();
    let noun: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    format!("{noun} {name}")
}

/// The form of what is there, or of what is not there yet. A query holds what was typed before a session was over, on the version
/// that it was typed for.
pub(super) async fn form<K: Kind>(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let drafted = !query.is_empty();
    let typed = Posted::of(query);
    if name == NEW {
        let sheet = K::sheet(&console, &entered, None, &typed)?;
        return Ok(drawn::<K>(&entered, StatusCode::OK, &name, (sheet, None, None), None));
    }
    let view = K::view(&console, &entered, &name)?;
    let (version, ..) = K::change(&view);
    let (typed, version) = match drafted {
        true => (typed.clone(), typed.get("version").parse().unwrap_or(version)),
        false => (K::stored(&view), version),
    };
    let sheet = K::sheet(&console, &entered, Some(&view), &typed)?;
    Ok(drawn::<K>(&entered, StatusCode::OK, &name, (sheet, Some(version), None), None))
}

/// Puts what was typed, or says what stands against it; what was typed stays.
pub(super) async fn put<K: Kind>(
    State(console): State<Console>,
    entered: Entered,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    manages(&entered)?;
    let new = name == NEW;
    let given = posted.get("version").parse::<u64>().unwrap_or_default();
    let (key, expected) = match new {
        true => (posted.get("name").trim(), Expected::Absent),
        false => (name.as_str(), Expected::Version(given)),
    };
    if posted.has(preview::ASKED) && !new {
        return asked::<K>(&console, &entered, &name, &posted, given).await;
    }
    let error = match K::put(&console, &entered, key, &posted, expected).await {
        Ok(saved) => {
            entered.tell("good", saved.headline, saved.words);
            return Ok(match saved.secret {
                Some(secret) => once(&entered, secret, saved.to),
                None => to(&saved.to),
            });
        }
        Err(error) => error,
    };
    objected::<K>(&console, &entered, &name, (posted, given), error)
}

/// Says what the change that was typed would do; what was typed stays.
async fn asked<K: Kind>(
    console: &Console,
    entered: &Entered,
    name: &str,
    posted: &Posted,
    given: u64,
) -> Result<Response, Failed> {
    let what = K::what_if(console, entered, name, posted, Expected::Version(given));
    let told = match what {
        Ok(Some(what)) => console.host.preview(&entered.actor, what).await,
        Ok(None) => Ok(Preview::default()),
        Err(error) => Err(error),
    };
    match told {
        Ok(told) => {
            let view = K::view(console, entered, name)?;
            let sheet = K::sheet(console, entered, Some(&view), posted)?;
            let secrets = posted.below(SECRET).any(|(_, secret)| !secret.is_empty());
            let told = Told::of(told).with_secrets(secrets);
            Ok(drawn::<K>(entered, StatusCode::OK, name, (sheet, Some(given), None), Some(told)))
        }
        Err(error) => objected::<K>(console, entered, name, (posted.clone(), given), error),
    }
}

/// The form once more, with what stands against what was typed.
fn objected<K: Kind>(
    console: &Console,
    entered: &Entered,
    name: &str,
    (posted, given): (Posted, u64),
    error: Error,
) -> Result<Response, Failed> {
    let new = name == NEW;
    let view = match new {
        true => None,
        false => match K::view(console, entered, name) {
            Ok(view) => Some(view),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let typed = match &error {
        Error::Refused { rule, .. } => posted.with("refused", rule),
        _ => posted,
    };
    let mut sheet = match K::sheet(console, entered, view.as_ref(), &typed) {
        Ok(sheet) => sheet,
        // What it stood on went with it.
        Err(_no_form) if !new && view.is_none() => return Err(error.into()),
        Err(failed) => return Err(failed),
    };
    // What others changed meanwhile is still a conflict, unless this page shows it.
    let (mut version, mut conflict) = ((!new).then_some(given), None);
    let status = match error {
        Error::Invalid { problems } => {
            sheet.form.blame(problems);
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Error::Exists { .. } => {
            let message = "is the name of another one already; open that to change it".to_owned();
            sheet.form.blame(vec![FieldProblem { field: "name".into(), message }]);
            StatusCode::UNPROCESSABLE_ENTITY
        }
        error @ Error::Stale { .. } => {
            let Some(view) = &view else { return Err(error.into()) };
            let (current, by, at) = K::change(view);
            let at = words::moment(at, console.host.now());
            (version, conflict) = (Some(current), Some(Conflict { noun: K::NOUN, by: by.to_owned(), at }));
            sheet.compare(&K::sheet(console, entered, Some(view), &K::stored(view))?);
            StatusCode::CONFLICT
        }
        Error::NotFound { .. } if !new && view.is_none() => {
            sheet.form.object("Somebody removed it meanwhile. Nothing of yours was saved; what you typed stands below");
            StatusCode::CONFLICT
        }
        error @ (Error::Upstream { .. } | Error::Refused { .. }) => {
            let hint = error.hint().map(|hint| format!(" {}", sentence(hint))).unwrap_or_default();
            sheet.form.object(&format!("{}{hint}", sentence(&error.to_string())));
            Failed::from(error).status
        }
        error => return Err(error.into()),
    };
    Ok(drawn::<K>(entered, status, name, (sheet, version, conflict), None))
}

impl Sheet {
    /// Says of each thing that is typed otherwise than it is stored by now how that stands.
    fn compare(&mut self, stored: &Self) {
        for field in self.form.fields.iter_mut().filter(|field| field.kind != "secret") {
            let now = stored.form.fields.iter().find(|now| now.key == field.key).map(|now| now.shown());
            if let Some(now) = now.filter(|now| *now != field.shown()) {
                field.help = format!("Stored now: {now}. {}", field.help);
            }
        }
        for tick in self.groups.iter_mut().flat_map(|group| &mut group.ticks) {
            let mut all = stored.groups.iter().flat_map(|group| &group.ticks);
            let now = all.find(|now| (now.name, &now.value) == (tick.name, &tick.value)).is_some_and(|now| now.on);
            tick.note = match (tick.on, now) {
                (true, false) => "not ticked in what is stored now",
                (false, true) => "ticked in what is stored now",
                (true, true) | (false, false) => "",
            };
        }
    }
}

/// The first field of what is not there yet.
pub(super) fn name_field(new: bool, typed: &Posted, help: &str) -> Vec<Field> {
    if new { vec![Field::own("name", "Name", "text", typed.get("name")).required().help(help)] } else { Vec::new() }
}

/// The label that was typed; the name where there is none.
pub(super) fn label(posted: &Posted, key: &str) -> Option<String> {
    let label = posted.get("label").trim();
    Some(if label.is_empty() { key.to_owned() } else { label.to_owned() })
}

pub(super) fn permission_ticks(label: &'static str, on: impl Fn(Permission) -> bool) -> Ticks {
    let tick = |one: Permission| Tick::new("permission", one.name(), words::permission(one), on(one));
    Ticks { id: "permissions", label, help: "", ticks: Permission::ALL.into_iter().map(tick).collect() }
}

pub(super) fn permissions(posted: &Posted) -> BTreeSet<Permission> {
    let given = |permission: &Permission| posted.all("permission").any(|name| name == permission.name());
    Permission::ALL.into_iter().filter(given).collect()
}

/// Where one thing stands, by the last part of its kind's path.
pub(super) fn below(kind: &str, name: &str) -> String {
    if name == NEW { format!("/setup/{kind}/+") } else { format!("/setup/{kind}/{}", segment(name)) }
}
