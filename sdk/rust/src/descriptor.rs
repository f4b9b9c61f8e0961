//! Builders that make a descriptor read like the form that it becomes.

use crate::{Choice, Descriptor, Field, FieldKind, Lifecycle, Protocol, SignIn};

impl Descriptor {
    /// A connector of this name (kebab-case), version (semantic) and label (for people).
    pub fn new(name: impl Into<String>, version: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            version: version.into(),
            publisher: String::new(),
            summary: String::new(),
            categories: Vec::new(),
            documentation: None,
            icon_svg: None,
            lifecycle: Lifecycle::GenerallyAvailable,
            settings: Vec::new(),
            protocols: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// Who answers for it.
    #[must_use]
    pub fn publisher(mut self, publisher: impl Into<String>) -> Self {
        self.publisher = publisher.into();
        self
    }

    /// One line on what it connects.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Where the catalog files it; may be said several times.
    #[must_use]
    pub fn category(mut self, category: impl Into<String>) -> Self {
        self.categories.push(category.into());
        self
    }

    /// An https link to the service's documentation.
    #[must_use]
    pub fn documentation(mut self, link: impl Into<String>) -> Self {
        self.documentation = Some(link.into());
        self
    }

    /// An SVG that draws and does nothing else.
    #[must_use]
    pub fn icon(mut self, svg: impl Into<String>) -> Self {
        self.icon_svg = Some(svg.into());
        self
    }

    /// How ripe it is; generally available where nothing is said.
    #[must_use]
    pub fn lifecycle(mut self, lifecycle: Lifecycle) -> Self {
        self.lifecycle = lifecycle;
        self
    }

    /// A field that every connection has, whatever its protocol.
    #[must_use]
    pub fn setting(mut self, field: Field) -> Self {
        self.settings.push(field);
        self
    }

    /// A way to authenticate.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocols.push(protocol);
        self
    }

    /// Where requests may go: `https://api.example.com`, `https://{subdomain}.example.com`, `{url}`.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }
}

impl Protocol {
    /// A protocol whose fields are the credential: no sign-in.
    pub fn new(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self { name: name.into(), label: label.into(), help: None, sign_in: SignIn::None, fields: Vec::new() }
    }

    /// OAuth 2.0 with a person in a browser. It asks for the client unless an identity provider supplies it.
    ///
    /// ```
    /// # use turnbuckle_sdk::Protocol;
    /// Protocol::oauth2("oauth2", "OAuth 2.0").help("Signs in with your account.");
    /// ```
    pub fn oauth2(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::new(name, label)
            .sign_in(SignIn::Browser)
            .field(Field::client_id().help(
                "Of the app that you registered with the service, with this host's callback address as its redirect URI.",
            ))
            .field(Field::client_secret())
    }

    /// OAuth 2.0 without a person: the client is whose access it is.
    pub fn client_credentials(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::new(name, label).sign_in(SignIn::Unattended).field(Field::client_id()).field(Field::client_secret())
    }

    /// What a person should know before choosing it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What signing in takes.
    #[must_use]
    pub fn sign_in(mut self, sign_in: SignIn) -> Self {
        self.sign_in = sign_in;
        self
    }

    /// A field of the form, after those before.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }
}

impl Field {
    fn new(name: impl Into<String>, label: impl Into<String>, kind: FieldKind) -> Self {
        let (name, label) = (name.into(), label.into());
        Self { name, label, help: None, placeholder: None, kind, required: false, default: None, pattern: None }
    }

    /// The id of an OAuth client, `client-id`; an identity provider may supply it.
    pub fn client_id() -> Self {
        Self::text("client-id", "Client ID").required().help("Of the app that you registered with the service.")
    }

    /// The secret of an OAuth client, `client-secret`; an identity provider may supply it.
    pub fn client_secret() -> Self {
        Self::secret("client-secret", "Client secret")
            .required()
            .help("Of the same app. Only this host sees it; it goes nowhere but to the service, to obtain tokens.")
    }

    /// One line of free text.
    pub fn text(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::new(name, label, FieldKind::Text)
    }

    /// Something that only the host sees.
    pub fn secret(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::new(name, label, FieldKind::Secret)
    }

    /// `https://<domain>`, without a path.
    pub fn url(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::new(name, label, FieldKind::Url)
    }

    /// A whole number.
    pub fn integer(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::new(name, label, FieldKind::Integer)
    }

    /// Yes or no.
    pub fn boolean(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::new(name, label, FieldKind::Boolean)
    }

    /// One of these values, each with what a person reads.
    pub fn choice<'a>(
        name: impl Into<String>,
        label: impl Into<String>,
        choices: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let choice = |(value, label): (&str, &str)| Choice { value: value.to_owned(), label: label.to_owned() };
        Self::new(name, label, FieldKind::Choice(choices.into_iter().map(choice).collect()))
    }

    /// It must be filled in.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Where to find it, what it is for.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// An example in the empty input.
    #[must_use]
    pub fn placeholder(mut self, placeholder: impl Into<String>) -> Self {
        self.placeholder = Some(placeholder.into());
        self
    }

    /// What stands where nothing is given.
    #[must_use]
    pub fn default(mut self, default: impl Into<String>) -> Self {
        self.default = Some(default.into());
        self
    }

    /// A regular expression that the whole value must match.
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_of_oauth_asks_for_the_client() {
        for (protocol, sign_in) in [
            (Protocol::oauth2("o", "OAuth"), SignIn::Browser),
            (Protocol::client_credentials("c", "Client"), SignIn::Unattended),
        ] {
            assert_eq!(protocol.sign_in, sign_in);
            let fields: Vec<_> =
                protocol.fields.iter().map(|field| (field.name.as_str(), &field.kind, field.required)).collect();
            let client = [("client-id", &FieldKind::Text, true), ("client-secret", &FieldKind::Secret, true)];
            assert_eq!(fields, client);
        }
    }
}
