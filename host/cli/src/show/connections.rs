//! Connections, as people read them.

use comfy_table::Cell;
use turnbuckle::{Change, ChangeKind, ConnectionView, Exchange, FlowRow, Page, Reconnected, Visibility};

use super::{Facts, Rows, cell, count, line, status, time, took, verdict};
use crate::show::flows::{flow_status, progress, used_as};

pub(crate) fn list(page: &Page<ConnectionView>) -> String {
    if page.items.is_empty() {
        return "No connection is there, or none that fits.\n\nMake one:\n  turnbuckle connector list\n  \
                turnbuckle connection create --connector NAME --name \"My connection\" --set FIELD=VALUE --secret FIELD=@FILE"
            .into();
    }
    let mut rows = Rows::new(&["name", "status", "connector", "account", "last test", "flows"]);
    for view in &page.items {
        let account = view.account.as_ref().map(|account| account.label.as_str()).unwrap_or_default();
        let tested = view.verdict.as_ref().map_or_else(|| "never".to_owned(), |verdict| time(verdict.at));
        rows.row([
            cell(&view.name),
            status(view.status),
            cell(format!("{} {}", view.connector.name, view.connector.version)),
            cell(account),
            cell(tested),
            Cell::new(view.flows),
        ]);
    }
    rows.text()
}

pub(crate) fn one(view: &ConnectionView) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &view.name);
    facts.fact("Status", status(view.status));
    facts.some("Description", Some(&view.description));
    facts.text("Connector", &format!("{} {}", view.connector.name, view.connector.version));
    facts.text("Protocol", &view.protocol);
    facts.list("Settings", view.settings.iter().map(|(name, value)| format!("{name} = {value}")));
    facts.list("Secrets", view.secrets.iter().map(|name| format!("{name} = [kept]")));
    if let Some(provider) = &view.identity_provider {
        facts.text("OAuth client", &format!("of the identity provider {provider}"));
    }
    facts.some(
        "Credential",
        view.named_credential.as_ref().map(|name| format!("the named credential {name}")).as_deref(),
    );
    if let Some(missing) = &view.missing_permission {
        let words = format!("no permission set of {} opens the principal {}", missing.user, missing.principal);
        facts.text("Missing", &words);
    }
    if !view.complete {
        facts.text("Authorized", "not yet: a person has to agree in a browser");
    }
    if let Some(credential) = &view.credential {
        facts.list("Obtained", credential.secrets.iter().map(|name| format!("{name} = [kept]")));
        facts.list("", credential.visible.iter().map(|(name, value)| format!("{name} = {value}")));
        facts.text("Obtained at", &time(credential.obtained_at));
        let expires = credential.expires_at.map_or_else(|| "the service does not say".to_owned(), time);
        facts.text("Expires", &expires);
    }
    facts.list("Origins", &view.origins);
    if let Some(account) = &view.account {
        facts.text("Account", &format!("{} ({})", account.label, account.id));
    }
    facts.list("Discovered", view.discovered.iter().map(|(name, value)| format!("{name} = {value}")));
    match &view.verdict {
        None => facts.text("Last test", "never"),
        Some(last) => {
            facts.text("Last test", &verdict(last));
            facts.text("Tested", &time(last.at));
            facts.list("Requests", last.exchanges.iter().map(exchange));
            facts.some("Its log", last.log.as_deref());
        }
    }
    facts.text("Flows", &view.flows.to_string());
    let seen = match view.visibility {
        Visibility::Shared => "everyone with the permission",
        Visibility::Private => "its owner",
    };
    facts.text("Seen by", seen);
    facts.text("Owner", &view.owner);
    facts.text("Created", &time(view.created_at));
    facts.text("Changed", &format!("{} (version {})", time(view.updated_at), view.version));
    if view.named_credential.is_none() {
        facts.text("Secrets set", &time(view.credential_at));
    }
    facts.text("Id", &view.id.to_string());
    facts.into_text()
}

/// `GET https://api.github.com/user: 200, 1,204 bytes in 92 ms`
fn exchange(exchange: &Exchange) -> String {
    let origin = exchange.origin.as_ref().map(ToString::to_string).unwrap_or_default();
    let came = match (&exchange.status, &exchange.error) {
        (_, Some(error)) => line(error),
        (Some(status), None) => status.to_string(),
        (None, None) => "no answer".into(),
    };
    let redacted = if exchange.redacted { ", a secret in it was taken out" } else { "" };
    format!(
        "{} {origin}{}: {came}, {} in {}{redacted}",
        exchange.method,
        exchange.path,
        count(exchange.received, "byte"),
        took(exchange.microseconds)
    )
}

pub(crate) fn reconnected(answer: &Reconnected) -> String {
    let said = if answer.replaced { "The new credential is in use." } else { "The old credential stays in use." };
    format!("{said}\nTest of the new one {}\n\n{}", verdict(&answer.verdict), one(&answer.connection))
}

pub(crate) fn flows(rows_of: &[FlowRow]) -> String {
    if rows_of.is_empty() {
        return "No flow uses it.".into();
    }
    let mut rows =
        Rows::new(&["flow", "name", "version", "status", "owner", "used as", "step", "last tested", "progress"]);
    for row in rows_of {
        rows.row([
            cell(row.id.as_str()),
            cell(&row.name),
            cell(&row.version),
            cell(flow_status(row.status)),
            cell(&row.owner),
            cell(used_as(row.used_as)),
            cell(&row.step),
            cell(row.last_tested.map_or_else(|| "never".to_owned(), time)),
            progress(row.progress),
        ]);
    }
    rows.text()
}

pub(crate) fn history(page: &Page<Change>) -> String {
    if page.items.is_empty() {
        return "Nothing more.".into();
    }
    let mut rows = Rows::new(&["version", "what", "when", "who", "fields"]);
    for change in &page.items {
        let what = match change.kind {
            ChangeKind::Created => "created",
            ChangeKind::Edited => "edited",
            ChangeKind::Authorized => "authorized",
            ChangeKind::Reconnected => "reconnected",
            ChangeKind::Enabled => "enabled",
            ChangeKind::Disabled => "disabled",
            ChangeKind::Upgraded => "upgraded",
            ChangeKind::Transferred => "transferred",
        };
        rows.row([
            Cell::new(change.version),
            cell(what),
            cell(time(change.at)),
            cell(&change.actor),
            cell(change.fields.join(", ")),
        ]);
    }
    rows.text()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn github() -> ConnectionView {
        serde_json::from_value(json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057", "version": 2, "name": "Git\u{1b}[2JHub", "description": "",
            "status": "needs-reconnect",
            "connector": {"name": "github", "version": "1.0.0", "digest": "ab".repeat(32)},
            "protocol": "token", "settings": {"url": "https://api.github.com"}, "secrets": ["token"],
            "origins": ["https://api.github.com"], "enabled": true, "complete": true,
            "verdict": {
                "outcome": "failed", "kind": "unauthorized", "message": "the token was rejected",
                "hint": "make a new one", "at": "2026-05-04T03:02:01Z", "microseconds": 92_400,
                "exchanges": [{
                    "method": "GET", "origin": "https://api.github.com", "path": "/user", "status": 401,
                    "sent": 0, "received": 90, "microseconds": 870
                }]
            },
            "account": {"id": "583231", "label": "octocat"}, "discovered": {}, "owner": "operator",
            "visibility": "shared", "created-at": "2026-05-01T00:00:00Z", "updated-at": "2026-05-02T00:00:00Z",
            "credential-at": "2026-05-01T00:00:00Z", "flows": 1
        }))
        .unwrap()
    }

    #[test]
    fn a_list_shows_what_one_looks_for_and_no_escape_sequence() {
        let page = Page { items: vec![github()], next: None };
        insta::assert_snapshot!(list(&page), @r"
        NAME        STATUS             CONNECTOR     ACCOUNT  LAST TEST                FLOWS
        Git�[2JHub  ✗ needs-reconnect  github 1.0.0  octocat  2026-05-04 03:02:01 UTC  1
        ");
    }

    #[test]
    fn one_connection_shows_everything_but_secrets() {
        insta::assert_snapshot!(one(&github()), @r"
        Name           Git�[2JHub
        Status         ✗ needs-reconnect
        Connector      github 1.0.0
        Protocol       token
        Settings       url = https://api.github.com
        Secrets        token = [kept]
        Origins        https://api.github.com
        Account        octocat (583231)
        Last test      failed (unauthorized) in 92 ms: the token was rejected
        Tested         2026-05-04 03:02:01 UTC
        Requests       GET https://api.github.com/user: 401, 90 bytes in 0.9 ms
        Flows          1
        Seen by        everyone with the permission
        Owner          operator
        Created        2026-05-01 00:00:00 UTC
        Changed        2026-05-02 00:00:00 UTC (version 2)
        Secrets set    2026-05-01 00:00:00 UTC
        Id             01890a5d-ac96-774b-bcce-b302099a8057
        ");
    }

    #[test]
    fn an_empty_list_says_what_to_do_next() {
        let page = Page { items: Vec::new(), next: None };
        insta::assert_snapshot!(list(&page), @r#"
        No connection is there, or none that fits.

        Make one:
          turnbuckle connector list
          turnbuckle connection create --connector NAME --name "My connection" --set FIELD=VALUE --secret FIELD=@FILE
        "#);
    }
}
