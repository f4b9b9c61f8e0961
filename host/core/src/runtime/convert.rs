//! The border between the contract's records and the model's: each way once, exhaustively.

use super::bindings::besides::exports::turnbuckle::connector::{classifier, signer};
use super::bindings::plugin::exports::turnbuckle::connector::connector as exported;
use super::bindings::plugin::turnbuckle::connector::types as wit;
use super::{Answer, GuestConnection};
use crate::egress::SignRequest;
use crate::model::authentication as plan;
use crate::model::descriptor::{Choice, Descriptor, Field, FieldKind, Lifecycle, Protocol, SignIn};
use crate::model::verdict::{Account, Failure, FailureKind, Report};

pub(super) fn connection(connection: &GuestConnection) -> exported::Connection {
    wit::Connection { protocol: connection.protocol.clone(), settings: connection.settings.clone() }
}

pub(super) fn descriptor(from: exported::Descriptor) -> Descriptor {
    Descriptor {
        name: from.name,
        label: from.label,
        version: from.version,
        publisher: from.publisher,
        summary: from.summary,
        categories: from.categories,
        documentation: from.documentation,
        icon_svg: from.icon_svg,
        lifecycle: match from.lifecycle {
            wit::Lifecycle::Beta => Lifecycle::Beta,
            wit::Lifecycle::GenerallyAvailable => Lifecycle::GenerallyAvailable,
            wit::Lifecycle::Deprecated => Lifecycle::Deprecated,
        },
        settings: from.settings.into_iter().map(field).collect(),
        protocols: from.protocols.into_iter().map(protocol).collect(),
        origins: from.origins,
    }
}

fn protocol(from: wit::Protocol) -> Protocol {
    Protocol {
        name: from.name,
        label: from.label,
        help: from.help,
        sign_in: match from.sign_in {
            wit::SignIn::None => SignIn::None,
            wit::SignIn::Unattended => SignIn::Unattended,
            wit::SignIn::Browser => SignIn::Browser,
        },
        fields: from.fields.into_iter().map(field).collect(),
    }
}

fn field(from: wit::Field) -> Field {
    Field {
        name: from.name,
        label: from.label,
        help: from.help,
        placeholder: from.placeholder,
        kind: match from.kind {
            wit::FieldKind::Text => FieldKind::Text,
            wit::FieldKind::Secret => FieldKind::Secret,
            wit::FieldKind::Url => FieldKind::Url,
            wit::FieldKind::Integer => FieldKind::Integer,
            wit::FieldKind::Boolean => FieldKind::Boolean,
            wit::FieldKind::Choice(choices) => FieldKind::Choice(
                choices.into_iter().map(|choice| Choice { value: choice.value, label: choice.label }).collect(),
            ),
        },
        required: from.required,
        default: from.default,
        pattern: from.pattern,
    }
}

pub(super) fn authentication(from: exported::Authentication) -> plan::Authentication {
    plan::Authentication {
        derived: from.derived.into_iter().map(derived).collect(),
        grant: plan::Grant {
            prepare: requests(from.grant.prepare),
            authorization: from.grant.authorization.map(|authorization| plan::Authorization {
                url: authorization.url,
                pkce: authorization.pkce,
                parameters: parameters(authorization.parameters),
                captures: captures(authorization.captures),
            }),
            token: requests(from.grant.token),
            refresh: requests(from.grant.refresh),
            revocation: requests(from.grant.revocation),
            lifetime_seconds: from.grant.lifetime_seconds,
        },
        placements: from.placements.into_iter().map(placement).collect(),
    }
}

fn derived(from: wit::Derived) -> plan::Derived {
    let value = match from.value {
        wit::Derivation::Base64(template) => plan::Derivation::Base64(template),
        wit::Derivation::Jwt(jwt) => plan::Derivation::Jwt(plan::Jwt {
            algorithm: match jwt.algorithm {
                wit::Algorithm::Hs256 => plan::Algorithm::Hs256,
                wit::Algorithm::Rs256 => plan::Algorithm::Rs256,
                wit::Algorithm::Ps256 => plan::Algorithm::Ps256,
                wit::Algorithm::Es256 => plan::Algorithm::Es256,
            },
            key: jwt.key,
            key_encoding: encoding(jwt.key_encoding),
            header: jwt.header,
            claims: jwt.claims,
            lifetime_seconds: jwt.lifetime_seconds,
        }),
    };
    plan::Derived { name: from.name, value }
}

pub(super) fn encoding(from: wit::Encoding) -> plan::Encoding {
    match from {
        wit::Encoding::Text => plan::Encoding::Text,
        wit::Encoding::Base64 => plan::Encoding::Base64,
        wit::Encoding::Hex => plan::Encoding::Hex,
    }
}

fn requests(from: Vec<wit::Request>) -> Vec<plan::Request> {
    from.into_iter()
        .map(|request| plan::Request {
            method: request.method,
            url: request.url,
            placements: request.placements.into_iter().map(placement).collect(),
            body: match request.body {
                wit::Body::None => plan::Body::None,
                wit::Body::Form(form) => plan::Body::Form(parameters(form)),
                wit::Body::Json(json) => plan::Body::Json(json),
                wit::Body::Text((content_type, text)) => plan::Body::Text(content_type, text),
            },
            captures: captures(request.captures),
        })
        .collect()
}

fn captures(from: Vec<wit::Capture>) -> Vec<plan::Capture> {
    from.into_iter()
        .map(|capture| plan::Capture {
            name: capture.name,
            source: match capture.source {
                wit::Source::Body(pointer) => plan::Source::Body(pointer),
                wit::Source::Header(name) => plan::Source::Header(name),
                wit::Source::Cookie(name) => plan::Source::Cookie(name),
                wit::Source::Callback(name) => plan::Source::Callback(name),
            },
            visible: capture.visible,
        })
        .collect()
}

fn parameters(from: Vec<wit::Parameter>) -> Vec<plan::Parameter> {
    from.into_iter().map(parameter).collect()
}

fn parameter(from: wit::Parameter) -> plan::Parameter {
    plan::Parameter { name: from.name, value: from.value }
}

fn basic(from: wit::Basic) -> plan::Basic {
    plan::Basic { username: from.username, password: from.password }
}

fn placement(from: wit::Placement) -> plan::Placement {
    match from {
        wit::Placement::Header(header) => plan::Placement::Header(parameter(header)),
        wit::Placement::Query(query) => plan::Placement::Query(parameter(query)),
        wit::Placement::Cookie(cookie) => plan::Placement::Cookie(parameter(cookie)),
        wit::Placement::PathPrefix(template) => plan::Placement::PathPrefix(template),
        wit::Placement::Body(body) => plan::Placement::Body(parameter(body)),
        wit::Placement::Basic(credentials) => plan::Placement::Basic(basic(credentials)),
        wit::Placement::Digest(credentials) => plan::Placement::Digest(basic(credentials)),
        wit::Placement::Oauth1(oauth1) => plan::Placement::Oauth1(plan::Oauth1 {
            signature: match oauth1.signature {
                wit::Oauth1Signature::HmacSha1 => plan::Oauth1Signature::HmacSha1,
                wit::Oauth1Signature::HmacSha256 => plan::Oauth1Signature::HmacSha256,
                wit::Oauth1Signature::Plaintext => plan::Oauth1Signature::Plaintext,
            },
            consumer_key: oauth1.consumer_key,
            consumer_secret: oauth1.consumer_secret,
            token: oauth1.token,
            token_secret: oauth1.token_secret,
            parameters: parameters(oauth1.parameters),
        }),
        wit::Placement::AwsSigv4(sigv4) => plan::Placement::AwsSigv4(plan::Sigv4 {
            region: sigv4.region,
            service: sigv4.service,
            access_key_id: sigv4.access_key_id,
            secret_access_key: sigv4.secret_access_key,
            session_token: sigv4.session_token,
        }),
        wit::Placement::ClientCertificate(certificate) => {
            plan::Placement::ClientCertificate(plan::Certificate { chain: certificate.chain, key: certificate.key })
        }
        wit::Placement::Signed => plan::Placement::Signed,
    }
}

pub(super) fn sign_request(from: SignRequest) -> signer::Request {
    signer::Request {
        method: from.method,
        url: from.url,
        headers: from.headers,
        body_sha256: from.body_sha256.to_vec(),
        timestamp: from.timestamp,
    }
}

pub(super) fn answer(from: &Answer<'_>) -> classifier::Response {
    // A header that is no text has nothing to say to a guest that reads text.
    let headers = from.headers.iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let body = &from.body[..from.body.len().min(super::CLASSIFIED)];
    classifier::Response { status: from.status.as_u16(), headers: headers.collect(), body: body.to_vec() }
}

pub(super) fn report(from: exported::Report) -> Report {
    Report {
        message: from.message,
        account: from.account.map(|account| Account { id: account.id, label: account.label }),
        discovered: from.discovered.into_iter().collect(),
    }
}

pub(super) fn failure(from: exported::Failure) -> Failure {
    let kind = match from.kind {
        wit::FailureKind::Unauthorized => FailureKind::Unauthorized,
        wit::FailureKind::Forbidden => FailureKind::Forbidden,
        wit::FailureKind::Misconfigured(field) => FailureKind::Misconfigured { field },
        wit::FailureKind::RateLimited(retry_after) => FailureKind::RateLimited { retry_after },
        wit::FailureKind::Unavailable => FailureKind::Unavailable,
        wit::FailureKind::Other => FailureKind::Other,
    };
    Failure { kind, message: from.message }
}
