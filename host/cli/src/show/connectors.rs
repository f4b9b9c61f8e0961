//! Connectors, as people read them.

use comfy_table::{Cell, Color};
use turnbuckle::{
    CheckReport, ConnectorView, Descriptor, Field, FieldKind, InstallReport, Lifecycle, SignIn, Surface, UpgradeReport,
};

use super::{Facts, Rows, cell, count, line, plain, size, time, yes_no};

pub(crate) fn list(connectors: &[ConnectorView]) -> String {
    if connectors.is_empty() {
        return "No connector is installed.\n\nInstall the bundled ones with `turnbuckle up`, or one of your own:\n  \
                turnbuckle connector build FOLDER --out .\n  turnbuckle connector install FILE.wasm"
            .into();
    }
    let mut rows = Rows::new(&["name", "version", "label", "protocols", "connections", "state"]);
    for view in connectors {
        let installed = &view.installed;
        let descriptor = &installed.descriptor;
        let protocols: Vec<_> = descriptor.protocols.iter().map(|protocol| protocol.name.as_str()).collect();
        let state = match (installed.enabled, installed.featured) {
            (true, true) => Cell::new("enabled, featured").fg(Color::Green),
            (true, false) => Cell::new("enabled").fg(Color::Green),
            (false, _) => Cell::new("disabled").fg(Color::DarkGrey),
        };
        rows.row([
            cell(installed.reference.name.as_str()),
            cell(installed.reference.version.to_string()),
            cell(&descriptor.label),
            cell(protocols.join(", ")),
            Cell::new(view.connections),
            state,
        ]);
    }
    rows.text()
}

pub(crate) fn one(view: &ConnectorView) -> String {
    let installed = &view.installed;
    let mut facts = Facts::new();
    facts.text("Name", installed.reference.name.as_str());
    facts.text("Version", &installed.reference.version.to_string());
    if view.versions.len() > 1 {
        facts.list("All versions", view.versions.iter().map(ToString::to_string));
    }
    describe(&mut facts, &installed.descriptor);
    facts.text("Digest", &format!("sha256:{}", installed.reference.digest));
    facts.text("Size", &size(installed.size));
    surface(&mut facts, &installed.surface);
    facts.text("Enabled", yes_no(installed.enabled));
    facts.text("Featured", yes_no(installed.featured));
    facts.text("Connections", &view.connections.to_string());
    facts.text("Installed", &format!("{} by {}", time(installed.installed_at), installed.installed_by));
    let mut text = facts.into_text();
    text.push_str(&forms(&installed.descriptor));
    text
}

pub(crate) fn checked(report: &CheckReport) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &report.descriptor.name);
    facts.text("Version", &report.descriptor.version);
    describe(&mut facts, &report.descriptor);
    facts.text("Digest", &format!("sha256:{}", report.digest));
    facts.text("Size", &size(report.size));
    surface(&mut facts, &report.surface);
    let mut text = facts.into_text();
    text.push_str(&forms(&report.descriptor));
    text.push_str("\n\nIt may be installed.");
    text
}

fn describe(facts: &mut Facts, descriptor: &Descriptor) {
    facts.text("Label", &descriptor.label);
    facts.some("Summary", Some(&descriptor.summary));
    facts.text("Publisher", &descriptor.publisher);
    facts.list("Categories", &descriptor.categories);
    let lifecycle = match descriptor.lifecycle {
        Lifecycle::Beta => "beta: may still change",
        Lifecycle::GenerallyAvailable => "generally available",
        Lifecycle::Deprecated => "deprecated: begin nothing new with it",
    };
    facts.text("Lifecycle", lifecycle);
    facts.some("Documentation", descriptor.documentation.as_deref());
    facts.list("Origins", &descriptor.origins);
}

fn surface(facts: &mut Facts, surface: &Surface) {
    facts.list("Imports", &surface.imports);
    facts.list("Exports", &surface.exports);
    facts.list("Made with", &surface.producers);
}

/// The fields of every form: the settings, then each protocol's own.
fn forms(descriptor: &Descriptor) -> String {
    let mut text = String::new();
    if !descriptor.settings.is_empty() {
        text.push_str(&format!("\n\nSettings\n{}", indented(&fields(&descriptor.settings))));
    }
    for protocol in &descriptor.protocols {
        let sign_in = match protocol.sign_in {
            SignIn::None => "",
            SignIn::Unattended => ", signs in by itself",
            SignIn::Browser => ", a person signs in",
        };
        text.push_str(&format!("\n\nProtocol {} ({}{sign_in})", protocol.name, line(&protocol.label)));
        if let Some(help) = &protocol.help {
            text.push_str(&format!("\n  {}", line(help)));
        }
        if !protocol.fields.is_empty() {
            text.push_str(&format!("\n{}", indented(&fields(&protocol.fields))));
        }
    }
    text
}

fn fields(fields: &[Field]) -> String {
    let mut rows = Rows::new(&["field", "kind", "required", "default", "about"]);
    for field in fields {
        let kind = match &field.kind {
            FieldKind::Text => "text".into(),
            FieldKind::Secret => "secret".into(),
            FieldKind::Url => "url".into(),
            FieldKind::Integer => "integer".into(),
            FieldKind::Boolean => "true or false".into(),
            FieldKind::Choice(choices) => {
                choices.iter().map(|choice| plain(&choice.value)).collect::<Vec<_>>().join(" | ")
            }
        };
        let about = match &field.help {
            Some(help) => format!("{}. {help}", field.label.trim_end_matches('.')),
            None => field.label.clone(),
        };
        rows.row([
            cell(&field.name),
            cell(&kind),
            cell(yes_no(field.required)),
            cell(field.default.as_deref().unwrap_or("")),
            cell(about),
        ]);
    }
    rows.text()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// One line of an install.
pub(crate) fn installed(report: &InstallReport) -> String {
    let reference = &report.connector.reference;
    let named = format!("{} {}", reference.name, reference.version);
    if !report.new {
        return format!("{named} is up to date");
    }
    let asks = if report.asks_for.is_empty() {
        "sends nothing".to_owned()
    } else {
        let origins: Vec<_> = report.asks_for.iter().map(|origin| line(origin)).collect();
        format!("may send to {}", origins.join(", "))
    };
    format!("{named} installed: {asks}")
}

pub(crate) fn upgraded(report: &UpgradeReport) -> String {
    let mut facts = Facts::new();
    facts.text("To version", &report.to.to_string());
    facts.list("New origins", &report.origins_added);
    facts.list("Origins gone", &report.origins_removed);
    facts.list("New fields", &report.fields_added);
    facts.list("Fields gone", &report.fields_removed);
    facts.list("Protocols gone", &report.protocols_removed);
    let moved = report.connections.iter().filter(|row| row.moved).count() as u64;
    facts.text("Moved", &format!("{moved} of {}", count(report.connections.len() as u64, "connection")));
    let mut text = facts.into_text();
    if !report.connections.is_empty() {
        let mut rows = Rows::new(&["connection", "from", "moved", "attention", "flows"]);
        for row in &report.connections {
            rows.row([
                cell(&row.name),
                cell(row.from.to_string()),
                cell(yes_no(row.moved)),
                cell(row.attention.join("; ")),
                cell(row.flows.iter().map(|flow| flow.name.as_str()).collect::<Vec<_>>().join(", ")),
            ]);
        }
        text.push_str(&format!("\n\n{}", rows.text()));
    }
    text
}
