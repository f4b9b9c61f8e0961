//! Named credentials and what they stand on, for people.

use turnbuckle::{
    CredentialProtocol, ExternalCredentialView, Field, FieldKind, NamedCredentialView, PrincipalKind, PrincipalView,
    SignIn,
};

use super::{Facts, Rows, cell, time, yes_no};

pub(crate) fn one(view: &NamedCredentialView) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &view.name);
    facts.text("Label", &view.label);
    facts.text("URL", &view.url);
    facts.text("Stands on", &format!("the external credential {} ({})", view.external_credential, view.protocol));
    facts.list("Principal", &view.principals);
    facts.some("Identity", view.kind.map(identity));
    facts.text("Configured", yes_no(view.configured));
    facts.text("Authenticated", yes_no(view.authenticated));
    facts.text("Enabled", yes_no(view.enabled));
    facts.text("Usable", view.problem.as_deref().map_or("yes", |_| "no"));
    facts.some("Because", view.problem.as_deref());
    facts.text("Changed", &format!("{} by {}", time(view.updated_at), view.owner));
    facts.into_text()
}

pub(crate) fn list(views: &[NamedCredentialView]) -> String {
    if views.is_empty() {
        return "No named credential is set up. One lets others connect without ever handling a secret:\n  \
                turnbuckle setup named-credential put NAME --url https://<domain> --protocol basic --set username=NAME --secret password=@FILE"
            .into();
    }
    let mut rows = Rows::new(&["name", "URL", "protocol", "configured", "authenticated", "enabled", "usable"]);
    for view in views {
        rows.row([
            cell(&view.name),
            cell(&view.url),
            cell(&view.protocol),
            cell(yes_no(view.configured)),
            cell(yes_no(view.authenticated)),
            cell(yes_no(view.enabled)),
            cell(view.problem.as_deref().unwrap_or("yes")),
        ]);
    }
    rows.text()
}

pub(crate) fn principal(view: &PrincipalView) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &view.name);
    facts.text("Label", &view.label);
    facts.text("Signs in to", &view.external_credential);
    facts.text("Identity", identity(view.kind));
    facts.list("Settings", view.settings.iter().map(|(name, value)| format!("{name} = {value}")));
    facts.list("Secrets", view.secrets.iter().map(|name| format!("{name} = [kept]")));
    facts.text("Configured", yes_no(view.configured));
    facts.text("Authenticated", yes_no(view.authenticated));
    facts.some("Because", view.problem.as_deref());
    facts.some("Expires", view.expires_at.map(time).as_deref());
    facts.list("Users", &view.users);
    facts.list("Opened by", &view.permission_sets);
    facts.text("Changed", &format!("{} by {}", time(view.updated_at), view.owner));
    facts.into_text()
}

pub(crate) fn principals(views: &[PrincipalView]) -> String {
    if views.is_empty() {
        return "No principal is open to you. One is opened by a permission set.".into();
    }
    let mut rows = Rows::new(&["name", "signs in to", "identity", "configured", "authenticated"]);
    for view in views {
        rows.row([
            cell(&view.name),
            cell(&view.external_credential),
            cell(identity(view.kind)),
            cell(yes_no(view.configured)),
            cell(yes_no(view.authenticated)),
        ]);
    }
    rows.text()
}

pub(crate) fn external(view: &ExternalCredentialView) -> String {
    let mut facts = Facts::new();
    facts.text("Name", &view.name);
    facts.text("Label", &view.label);
    facts.text("Protocol", &view.protocol);
    facts.text("Signing in", sign_in(view.sign_in));
    facts.list("Settings", view.settings.iter().map(|(name, value)| format!("{name} = {value}")));
    facts.list("Headers", view.headers.iter().map(|header| format!("{}: {}", header.name, header.value)));
    facts.list("Secrets", view.secrets.iter().map(|name| format!("{name} = [kept]")));
    facts.list("Asks for", view.parameters.iter().map(asked));
    if let Some(callback) = &view.callback {
        facts.text("Redirect URI", &format!("{callback} below the server's address"));
    }
    facts.list("Principals", &view.principals);
    facts.list("Stand on it", &view.named_credentials);
    facts.text("Changed", &format!("{} by {}", time(view.updated_at), view.owner));
    facts.into_text()
}

pub(crate) fn externals(views: &[ExternalCredentialView]) -> String {
    if views.is_empty() {
        return "No external credential is set up. `turnbuckle setup named-credential put` makes one with what it is for.".into();
    }
    let mut rows = Rows::new(&["name", "protocol", "principals", "stand on it"]);
    for view in views {
        rows.row([
            cell(&view.name),
            cell(&view.protocol),
            cell(view.principals.join(", ")),
            cell(view.named_credentials.join(", ")),
        ]);
    }
    rows.text()
}

pub(crate) fn protocols(protocols: &[CredentialProtocol]) -> String {
    let mut facts = Facts::new();
    for protocol in protocols {
        facts.text(&protocol.name, &format!("{}. {}", protocol.label, protocol.help));
        facts.list("", protocol.settings.iter().map(asked));
        facts.list("", protocol.parameters.iter().map(|field| format!("{}, of the principal", asked(field))));
    }
    facts.into_text()
}

fn asked(field: &Field) -> String {
    let how = match (&field.kind, field.required, &field.default) {
        (FieldKind::Secret, true, _) => "secret",
        (FieldKind::Secret, false, _) => "secret, may be left out",
        (_, _, Some(default)) => return format!("{} ({default} where nothing is given)", field.name),
        (_, true, None) => "required",
        (_, false, None) => "may be left out",
    };
    format!("{} ({how})", field.name)
}

fn identity(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Named => "one that everybody shares",
        PrincipalKind::PerUser => "each user's own",
    }
}

fn sign_in(sign_in: SignIn) -> &'static str {
    match sign_in {
        SignIn::None => "takes nothing but its fields",
        SignIn::Unattended => "takes no person",
        SignIn::Browser => "takes a person in a browser",
    }
}
