//! Identity providers, for people.

use turnbuckle::IdentityProviderView;

use super::{Facts, Rows, cell, time, yes_no};

pub(crate) fn one(view: &IdentityProviderView) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &view.name);
    facts.text("Label", &view.label);
    facts.text("Connector", &format!("{} by {}", view.connector, view.protocol));
    facts.text("Client id", &view.client_id);
    facts.text("Client secret", if view.has_secret { "stored" } else { "none: a public client" });
    for (name, value) in &view.settings {
        facts.text(name, value);
    }
    facts.text("Redirect URI", &format!("{} below the server's address", view.callback));
    facts.text("Changed", &format!("{} by {}", time(view.updated_at), view.owner));
    facts.into_text()
}

pub(crate) fn list(views: &[IdentityProviderView]) -> String {
    if views.is_empty() {
        return "No identity provider is set up. One lets people connect by OAuth without a client of their own."
            .into();
    }
    let mut rows = Rows::new(&["name", "connector", "protocol", "client id", "secret", "redirect URI"]);
    for view in views {
        rows.row([
            cell(&view.name),
            cell(view.connector.as_str()),
            cell(&view.protocol),
            cell(&view.client_id),
            cell(yes_no(view.has_secret)),
            cell(&view.callback),
        ]);
    }
    rows.text()
}
