//! How things are said on pages.

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::Timestamp;
use turnbuckle::{
    AuditAction, AuditOutcome, ChangeKind, ConnectionView, EventType, FieldKind, FlowStatus, HealthState, Holding,
    Installed, Lifecycle, Outcome, Permission, Progress, Protocol, SignIn, Status, UsedAs, Verdict, Visibility,
};

/// A status: a shape, a word and a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Template)]
#[template(path = "mark.html")]
pub(crate) struct Mark {
    pub(crate) tone: &'static str,
    /// The data of an SVG path.
    pub(crate) shape: &'static str,
    pub(crate) filled: bool,
    pub(crate) word: &'static str,
}

impl HtmlSafe for Mark {}

const DISC: &str = "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11z";
const HALF: &str = "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11zM8 2.5v11M8 4.5h3M8 6.5h4.8M8 8.5h5M8 10.5h4";
const TRIANGLE: &str = "M8 2.2l6.2 11.3H1.8z";
const STRUCK: &str = "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11zM4.2 11.8l7.6-7.6";
const CROSS: &str = "M3.5 3.5l9 9M12.5 3.5l-9 9";
const TICK: &str = "M2.8 8.5l3.4 3.4 7-7.4";
const DOTS: &str = "M3 8h.01M8 8h.01M13 8h.01";

fn mark(tone: &'static str, shape: &'static str, filled: bool, word: &'static str) -> Mark {
    Mark { tone, shape, filled, word }
}

pub(crate) fn status(status: Status) -> Mark {
    match status {
        Status::Active => mark("good", DISC, true, "Active"),
        Status::Degraded => mark("warn", HALF, false, "Degraded"),
        Status::NeedsReconnect => mark("bad", TRIANGLE, true, "Needs reconnect"),
        Status::Inactive => mark("none", DISC, false, "Inactive"),
        Status::Disabled => mark("none", STRUCK, false, "Disabled"),
    }
}

pub(crate) fn progress(progress: Progress) -> Mark {
    match progress {
        Progress::NotTested => mark("none", DISC, false, "Not tested"),
        Progress::Testing => mark("none", DOTS, false, "Testing"),
        Progress::Passed => mark("good", TICK, false, "Passed"),
        Progress::Failed => mark("bad", CROSS, false, "Failed"),
    }
}

pub(crate) fn upkeep(state: HealthState) -> Mark {
    match state {
        HealthState::Running => mark("good", DISC, true, "Running"),
        HealthState::Paused => mark("warn", HALF, false, "Paused"),
        HealthState::Off => mark("none", STRUCK, false, "Off"),
    }
}

pub(crate) fn holding(holding: Holding) -> &'static str {
    match holding {
        Holding::Rate => "It gets so many a minute",
        Holding::DailyBudget => "It got what it gets in a day",
        Holding::Resting => "It asked for rest",
    }
}

pub(crate) fn outcome(outcome: AuditOutcome) -> Mark {
    match outcome {
        AuditOutcome::Done => mark("good", TICK, false, "Done"),
        AuditOutcome::Failed => mark("bad", CROSS, false, "Failed"),
        AuditOutcome::Refused => mark("warn", STRUCK, false, "Refused"),
    }
}

/// What was done to a connection or with it. Of what is not of connections, the name that the audit gives it.
pub(crate) fn done(action: AuditAction) -> &'static str {
    match action {
        AuditAction::ConnectionCreate => "Created",
        AuditAction::ConnectionEdit => "Edited",
        AuditAction::ConnectionTest => "Tested",
        AuditAction::ConnectionReconnect => "Reconnected",
        AuditAction::ConnectionEnable => "Enabled",
        AuditAction::ConnectionDisable => "Disabled",
        AuditAction::ConnectionDelete => "Deleted",
        AuditAction::ConnectionUpgrade => "Upgraded",
        AuditAction::ConnectionTransfer => "Transferred",
        AuditAction::ConnectionSend => "Request sent",
        AuditAction::ConnectionAuthorize => "Sign-in begun",
        AuditAction::ConnectionSignIn => "Signed in",
        AuditAction::ConnectionObtain => "Credential obtained",
        AuditAction::ConnectionRenew => "Credential renewed",
        AuditAction::ConnectionRevoke => "Credential revoked",
        AuditAction::ConnectionView => "Looked at",
        other => other.name(),
    }
}

pub(crate) fn switch(on: bool) -> Mark {
    if on { mark("good", DISC, true, "Enabled") } else { mark("none", STRUCK, false, "Disabled") }
}

pub(crate) fn configured(all_there: bool) -> Mark {
    if all_there { mark("good", TICK, false, "Configured") } else { mark("warn", CROSS, false, "Not configured") }
}

pub(crate) fn authenticated(signed_in: bool) -> Mark {
    if signed_in { mark("good", TICK, false, "Authenticated") } else { mark("warn", CROSS, false, "Not authenticated") }
}

/// What an event tells.
pub(crate) fn event(kind: EventType) -> &'static str {
    match kind {
        EventType::ConnectionCreated => "A connection was created",
        EventType::ConnectionChanged => "A connection was changed, enabled or disabled",
        EventType::ConnectionVerdictChanged => "A connection's test says something else than before",
        EventType::ConnectionNeedsReconnect => "A connection needs to be reconnected",
        EventType::ConnectionRefreshed => "A connection's credential was renewed",
        EventType::ConnectionDeleted => "A connection was deleted",
        EventType::FlowAlert => "A flow's connection began to fail, or recovered",
        EventType::ConnectorInstalled => "A connector was installed",
        EventType::ConnectorUpgraded => "Connections were moved to another version of their connector",
        EventType::ConnectorRemoved => "A version of a connector was removed",
    }
}

pub(crate) fn flow_status(status: FlowStatus) -> Mark {
    match status {
        FlowStatus::Draft => mark("none", DISC, false, "Draft"),
        FlowStatus::Active => mark("good", DISC, true, "Active"),
        FlowStatus::Inactive => mark("none", DISC, false, "Inactive"),
        FlowStatus::Archived => mark("none", STRUCK, false, "Archived"),
    }
}

pub(crate) fn used_as(used: UsedAs) -> &'static str {
    match used {
        UsedAs::Action => "Action",
        UsedAs::Trigger => "Trigger",
    }
}

pub(crate) fn lifecycle(lifecycle: Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Beta => "Beta",
        Lifecycle::GenerallyAvailable => "Generally available",
        Lifecycle::Deprecated => "Deprecated",
    }
}

pub(crate) fn sign_in(sign_in: SignIn) -> &'static str {
    match sign_in {
        SignIn::None => "Keys and passwords",
        SignIn::Unattended => "Signs in by itself",
        SignIn::Browser => "Sign in with a browser",
    }
}

/// How a protocol signs in: one without a secret takes none.
pub(crate) fn signs_in(protocol: &Protocol) -> &'static str {
    let secret = protocol.fields.iter().any(|field| field.kind == FieldKind::Secret);
    if protocol.sign_in == SignIn::None && !secret { "No credential" } else { sign_in(protocol.sign_in) }
}

pub(crate) fn change(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Created => "Created",
        ChangeKind::Edited => "Edited",
        ChangeKind::Authorized => "Signed in",
        ChangeKind::Reconnected => "Reconnected",
        ChangeKind::Enabled => "Enabled",
        ChangeKind::Disabled => "Disabled",
        ChangeKind::Upgraded => "Upgraded",
        ChangeKind::Transferred => "Given to another owner",
    }
}

pub(crate) fn visibility(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Shared => "Everyone with the permission",
        Visibility::Private => "Its owner alone",
    }
}

pub(crate) fn permission(permission: Permission) -> &'static str {
    match permission {
        Permission::ViewConnections => "See connections, without secrets",
        Permission::ManageConnections => "Create, edit, reconnect, enable and delete connections",
        Permission::UseConnections => "Test connections and send requests through them",
        Permission::ManageFlows => "Register flows and what they use",
        Permission::ManageConnectors => "Install, upgrade, enable, feature and remove connectors",
        Permission::ManageSetup => {
            "Set up credentials, identity providers, users, permission sets, tokens and webhooks"
        }
        Permission::ViewAudit => "Read the audit",
    }
}

/// A moment: how long ago for a glance, exactly for who looks.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "moment.html")]
pub(crate) struct Moment {
    pub(crate) machine: String,
    pub(crate) exact: String,
    pub(crate) relative: String,
}

impl HtmlSafe for Moment {}

pub(crate) fn moment(at: Timestamp, now: Timestamp) -> Moment {
    let seconds = now.as_second() - at.as_second();
    let (ahead, distance) = (seconds < 0, seconds.unsigned_abs());
    let number = |count: u64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    let words = match distance {
        0..45 => None,
        45..5_400 => Some(number((distance + 30) / 60, "minute")),
        5_400..129_600 => Some(number((distance + 1_800) / 3_600, "hour")),
        129_600..5_184_000 => Some(number((distance + 43_200) / 86_400, "day")),
        5_184_000..63_072_000 => Some(number(distance / 2_592_000, "month")),
        _ => Some(number(distance / 31_536_000, "year")),
    };
    let relative = match (words, ahead) {
        (None, _) => "just now".to_owned(),
        (Some(words), false) => format!("{words} ago"),
        (Some(words), true) => format!("in {words}"),
    };
    Moment { machine: at.to_string(), exact: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(), relative }
}

/// How long something took.
pub(crate) fn took(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..1_000_000 => format!("{} ms", microseconds / 1_000),
        _ => format!("{}.{} s", microseconds / 1_000_000, microseconds % 1_000_000 / 100_000),
    }
}

pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes.div_ceil(1 << 10)) } else { format!("{} MiB", bytes >> 20) }
}

/// How a connector is shown beside its name: by its icon, or by the letter that it begins with.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "logo.html")]
pub(crate) struct Logo {
    pub(crate) icon: Option<String>,
    pub(crate) letter: String,
    /// Further words of its class.
    pub(crate) size: &'static str,
}

impl HtmlSafe for Logo {}

impl Logo {
    pub(crate) fn big(self) -> Self {
        Self { size: " big", ..self }
    }
}

pub(crate) fn logo(installed: &Installed) -> Logo {
    let reference = &installed.reference;
    let key = super::answer::segment(&format!("{}@{}", reference.name, reference.version));
    Logo {
        icon: installed.descriptor.icon_svg.as_ref().map(|_| format!("/icons/{key}")),
        letter: letter(&installed.descriptor.label),
        size: "",
    }
}

pub(crate) fn letter(label: &str) -> String {
    let letter = label.chars().find(|c| c.is_alphanumeric()).unwrap_or('•');
    letter.to_uppercase().collect()
}

/// What the last test said: what happened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) tone: &'static str,
    pub(crate) headline: &'static str,
    pub(crate) words: String,
    pub(crate) hint: String,
}

pub(crate) fn judged(verdict: &Verdict) -> Judged {
    let passed = verdict.passed();
    let words = super::answer::sentence(&verdict.message);
    let hint = verdict.hint.as_deref().map(super::answer::sentence).unwrap_or_default();
    let headline = if passed { "The test passed" } else { "The test did not pass" };
    let tone = match &verdict.outcome {
        Outcome::Passed => "good",
        Outcome::Failed(_) if Status::derive(true, true, Some(&verdict.outcome)) == Status::Degraded => "warn",
        Outcome::Failed(_) => "bad",
    };
    Judged { tone, headline, words, hint }
}

/// What a connection needs from a person, where it needs something.
pub(crate) struct Need {
    pub(crate) words: String,
    pub(crate) path: String,
    pub(crate) verb: &'static str,
    /// Whether the way out is a window over the page.
    pub(crate) window: bool,
}

pub(crate) fn need(view: &ConnectionView) -> Option<Need> {
    let path = format!("/connections/{}", view.id);
    let said = view.verdict.as_ref().map(|verdict| super::answer::sentence(&verdict.message)).unwrap_or_default();
    match view.status {
        Status::Active | Status::Disabled | Status::Degraded => None,
        Status::NeedsReconnect if view.named_credential.is_some() => {
            let words = format!("{said} {}", super::answer::sentence("its named credential has to be signed in anew"));
            Some(Need { words, path: format!("{path}/reconnect"), verb: "See how", window: true })
        }
        Status::NeedsReconnect => {
            Some(Need { words: said, path: format!("{path}/reconnect"), verb: "Reconnect", window: true })
        }
        Status::Inactive if !view.complete => {
            let words = "Nobody has signed in yet.".to_owned();
            Some(Need { words, path: format!("{path}/reconnect"), verb: "Sign in", window: true })
        }
        Status::Inactive => Some(Need { words: said, path, verb: "See why", window: false }),
    }
}

pub(crate) fn kind(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Secret => "secret",
        FieldKind::Url => "url",
        FieldKind::Integer => "integer",
        FieldKind::Boolean => "boolean",
        FieldKind::Choice(_) => "choice",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_is_said_in_one_unit() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (at, words) in [
            ("2026-11-24T11:59:50Z", "just now"),
            ("2026-11-24T11:58:50Z", "1 minute ago"),
            ("2026-11-24T10:00:00Z", "2 hours ago"),
            ("2026-11-21T12:00:00Z", "3 days ago"),
            ("2026-05-24T12:00:00Z", "6 months ago"),
            ("2023-11-24T12:00:00Z", "3 years ago"),
            ("2026-11-24T12:20:00Z", "in 20 minutes"),
        ] {
            assert_eq!(moment(at.parse().unwrap(), now).relative, words, "{at}");
        }
    }

    #[test]
    fn every_status_has_a_shape_and_a_word_of_its_own() {
        let all = [Status::Active, Status::Degraded, Status::NeedsReconnect, Status::Inactive, Status::Disabled];
        for (index, one) in all.into_iter().enumerate() {
            for other in all.into_iter().skip(index + 1) {
                let (one, other) = (status(one), status(other));
                assert!(one.word != other.word && (one.shape, one.filled) != (other.shape, other.filled));
            }
        }
    }
}
