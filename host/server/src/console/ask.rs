//! A window that asks before something is done.

use askama::Template;
use turnbuckle::User;

use super::answer::segment;
use super::form::{Field, Wrong};
use super::frame::Frame;
use super::preview::Told;

#[derive(Template)]
#[template(path = "ask.html")]
pub(crate) struct Ask {
    pub(crate) frame: Frame,
    pub(crate) headline: String,
    pub(crate) words: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) problems: Vec<Wrong>,
    /// What it would do.
    pub(crate) preview: Option<Told>,
    /// What stands in the way.
    pub(crate) users: Vec<Used>,
    pub(crate) action: String,
    pub(crate) back: String,
    pub(crate) verb: &'static str,
    pub(crate) busy: &'static str,
    pub(crate) danger: bool,
    /// It can't be done as things stand.
    pub(crate) refused: bool,
}

/// Something that leans on another thing, and where it stands.
pub(crate) struct Used {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) path: Option<String>,
}

impl Used {
    pub(crate) fn of(user: User) -> Self {
        let path = match user.kind.as_str() {
            "connection" => Some(format!("/connections/{}", segment(&user.id))),
            "user" => Some(format!("/setup/users/{}", segment(&user.id))),
            "permission set" => Some(format!("/setup/permission-sets/{}", segment(&user.id))),
            "principal" => Some(format!("/setup/principals/{}", segment(&user.id))),
            "named credential" => Some(format!("/setup/named-credentials/{}", segment(&user.id))),
            _ => None,
        };
        Self { kind: user.kind, name: user.name, path }
    }
}
