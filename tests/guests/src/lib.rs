//! What the guests share: the contract's bindings, a connector that behaves, and requests with every knob loose.
//!
//! A guest writes only how it differs from [`Guest`]'s defaults.

#[allow(missing_docs, reason = "generated from the contract")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "connector-plugin",
        pub_export_macro: true,
        export_macro_name: "export_connector",
        default_bindings_module: "guest_kit::bindings",
    });
}
pub mod http;

pub use bindings::turnbuckle::connector::types::{
    Authentication, Authorization, Basic, Body, Capture, Choice, Connection, Derivation, Derived, Descriptor, Failure,
    FailureKind, Field, FieldKind, Grant, Lifecycle, Parameter, Placement, Protocol, Report, Request, SignIn, Sigv4,
    Source,
};

/// A connector that behaves, until a guest replaces one of its answers.
pub trait Guest {
    /// The folder's name is the connector's name.
    const NAME: &str;

    fn describe() -> Descriptor {
        descriptor(Self::NAME)
    }

    fn authenticate(connection: Connection) -> Result<Authentication, Failure> {
        Ok(match connection.protocol.as_str() {
            "token" => place(Placement::Header(parameter("Authorization", "Bearer {token}"))),
            _ => nothing(),
        })
    }

    fn test(connection: Connection) -> Result<Report, Failure> {
        probe(&connection)
    }
}

/// Exports a type that implements [`Guest`].
#[macro_export]
macro_rules! guest {
    ($guest:ty) => {
        const _: () = {
            struct Exported;

            impl $crate::bindings::exports::turnbuckle::connector::connector::Guest for Exported {
                fn describe() -> $crate::Descriptor {
                    <$guest as $crate::Guest>::describe()
                }

                fn authenticate(connection: $crate::Connection) -> Result<$crate::Authentication, $crate::Failure> {
                    $crate::last_words_on_one_line();
                    <$guest as $crate::Guest>::authenticate(connection)
                }

                fn test(connection: $crate::Connection) -> Result<$crate::Report, $crate::Failure> {
                    $crate::last_words_on_one_line();
                    <$guest as $crate::Guest>::test(connection)
                }
            }

    $crate::bindings::export_connector!(Exported with_types_in $crate::bindings);
        };
    };
}

/// As the SDK does it: what a panic says is the last line of the log.
pub fn last_words_on_one_line() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{}", panic.payload_as_str().unwrap_or("it panicked"))));
}

/// One service at `url`, with or without a token.
pub fn descriptor(name: &str) -> Descriptor {
    Descriptor {
        name: name.into(),
        label: name.into(),
        version: "1.0.0".into(),
        publisher: "Tests".into(),
        summary: "A guest of the tests".into(),
        categories: vec!["Tests".into()],
        documentation: None,
        icon_svg: None,
        lifecycle: Lifecycle::Beta,
        settings: vec![
            Field { required: true, ..field("url", FieldKind::Url) },
            Field { default: Some("/".into()), ..field("path", FieldKind::Text) },
        ],
        protocols: vec![protocol("none", vec![]), protocol("token", vec![required_secret("token")])],
        origins: vec!["{url}".into()],
    }
}

/// A field that may stay empty.
pub fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        name: name.into(),
        label: name.into(),
        help: None,
        placeholder: None,
        kind,
        required: false,
        default: None,
        pattern: None,
    }
}

pub fn required_secret(name: &str) -> Field {
    Field { required: true, ..field(name, FieldKind::Secret) }
}

/// A protocol whose fields are the credential.
pub fn protocol(name: &str, fields: Vec<Field>) -> Protocol {
    Protocol { name: name.into(), label: name.into(), help: None, sign_in: SignIn::None, fields }
}

pub fn parameter(name: &str, value: &str) -> Parameter {
    Parameter { name: name.into(), value: value.into() }
}

/// Requests go as they are.
pub fn nothing() -> Authentication {
    Authentication { derived: vec![], grant: no_grant(), placements: vec![] }
}

pub fn place(placement: Placement) -> Authentication {
    Authentication { placements: vec![placement], ..nothing() }
}

pub fn no_grant() -> Grant {
    Grant {
        prepare: vec![],
        authorization: None,
        token: vec![],
        refresh: vec![],
        revocation: vec![],
        lifetime_seconds: None,
    }
}

/// A GET of `path` at `url`, judged by its status.
pub fn probe(connection: &Connection) -> Result<Report, Failure> {
    let url = format!("{}{}", setting(connection, "url"), setting(connection, "path"));
    let answer = http::Request::new("GET", &url).send().map_err(|error| failure(FailureKind::Unavailable, error))?;
    let words = format!("the service answered {}", answer.status);
    match answer.status {
        200..=299 => Ok(report(words)),
        401 => Err(failure(FailureKind::Unauthorized, words)),
        403 => Err(failure(FailureKind::Forbidden, words)),
        404 => Err(failure(FailureKind::Misconfigured(Some("path".into())), words)),
        429 => Err(failure(FailureKind::RateLimited(answer.header("retry-after").and_then(|s| s.parse().ok())), words)),
        500..=599 => Err(failure(FailureKind::Unavailable, words)),
        _ => Err(failure(FailureKind::Other, words)),
    }
}

/// A setting's value; empty where there is none.
pub fn setting<'a>(connection: &'a Connection, name: &str) -> &'a str {
    connection.settings.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

pub fn report(message: impl Into<String>) -> Report {
    Report { message: message.into(), account: None, discovered: vec![] }
}

pub fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into() }
}
