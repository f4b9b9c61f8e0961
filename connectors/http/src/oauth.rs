//! OAuth 2.0 with an authorization server that a person describes.

use turnbuckle_sdk::oauth2::{Flow, authorization_code, client_credentials, jwt_bearer};
use turnbuckle_sdk::{Algorithm, Assertion, Authentication, Connection, Field, Protocol, SignIn};

pub(super) const BROWSER: &str = "oauth2";
pub(super) const CLIENT: &str = "oauth2-client-credentials";
pub(super) const ASSERTION: &str = "jwt-bearer";

/// What may stand in a path: no brace, so it can be part of a template.
const PATH: &str = "/[A-Za-z0-9._~/-]*";

/// A person agrees in a browser.
pub(super) fn browser() -> Protocol {
    Protocol::new(BROWSER, "OAuth 2.0")
        .help("Signs in a person in a browser.")
        .sign_in(SignIn::Browser)
        .field(server())
        .field(path("authorization-path", "Authorization path").required().default("/authorize"))
        .field(token_path())
        .field(path("revocation-path", "Revocation path").help("Where tokens are revoked, if the server does that."))
        .field(Field::client_id())
        .field(Field { required: false, ..Field::client_secret() }.help("Of the same app; a public client has none."))
        .field(proof([
            ("basic", "By basic authentication"),
            ("body", "In the form"),
            ("none", "Not at all: a public client"),
        ]))
        .field(scope())
        .field(audience("Asked for besides, where the server has access to several services."))
}

/// The client is whose access it is.
pub(super) fn client() -> Protocol {
    Protocol::client_credentials(CLIENT, "OAuth 2.0 client credentials")
        .help("The client signs in without a person.")
        .field(server())
        .field(token_path())
        .field(proof([("basic", "By basic authentication"), ("body", "In the form")]))
        .field(scope())
        .field(audience("Asked for besides, where the server has access to several services."))
}

/// A signed assertion is the grant.
pub(super) fn assertion() -> Protocol {
    Protocol::new(ASSERTION, "JWT bearer")
        .help("Signs in by an assertion that this host signs (RFC 7523).")
        .sign_in(SignIn::Unattended)
        .field(server())
        .field(token_path())
        .field(Field::text("issuer", "Issuer").required().help("Who signs, as the server knows it."))
        .field(Field::text("subject", "Subject").help("For whom access is asked; the issuer, if empty."))
        .field(audience("The address of the token endpoint, if empty."))
        .field(
            Field::choice("algorithm", "Algorithm", [("RS256", "RS256"), ("PS256", "PS256"), ("ES256", "ES256")])
                .required()
                .default("RS256"),
        )
        .field(Field::secret("private-key", "Private key").required().help("In PEM or as a JWK."))
        .field(Field::text("key-id", "Key ID").help("`kid`, where the server knows several keys."))
        .field(scope())
}

/// By the protocol of the connection, which is one of these.
pub(super) fn authenticate(connection: &Connection) -> Authentication {
    let token = at(connection, "token-path");
    match connection.protocol.as_str() {
        CLIENT => proven(connection, client_credentials(token))
            .scope("{scope}")
            .token_parameter("audience", "{audience}")
            .build(),
        ASSERTION => jwt_bearer(token, signed(connection)).scope("{scope}").build(),
        _ => {
            let flow = proven(connection, authorization_code(at(connection, "authorization-path"), token))
                .scope("{scope}")
                .authorization_parameter("audience", "{audience}");
            match connection.get("revocation-path") {
                Some(_) => flow.revocation(at(connection, "revocation-path")).build(),
                None => flow.build(),
            }
        }
    }
}

fn at(connection: &Connection, path: &str) -> String {
    format!("{{authorization-server}}{}", connection.setting(path))
}

fn proven<S>(connection: &Connection, flow: Flow<S>) -> Flow<S> {
    match connection.setting("client-authentication") {
        "body" => flow.client_in_body(),
        "none" => flow.public_client(),
        _ => flow.client_in_header(),
    }
}

/// A claim whose value is missing would leave no token, so what is empty is not claimed.
fn signed(connection: &Connection) -> Assertion {
    let algorithm = match connection.setting("algorithm") {
        "PS256" => Algorithm::Ps256,
        "ES256" => Algorithm::Es256,
        _ => Algorithm::Rs256,
    };
    let given = |name, template| connection.get(name).map(|_| template);
    let assertion = Assertion::new(algorithm, "{private-key}")
        .issuer("{issuer}")
        .subject(given("subject", "{subject}").unwrap_or("{issuer}"));
    let assertion = match given("audience", "{audience}") {
        Some(audience) => assertion.audience(audience),
        None => assertion,
    };
    match given("key-id", "{key-id}") {
        Some(key_id) => assertion.key_id(key_id),
        None => assertion,
    }
}

fn server() -> Field {
    Field::url("authorization-server", "Authorization server")
        .required()
        .help("Its address without a path; it may be the service's own.")
        .placeholder("https://login.example.com")
}

fn path(name: &str, label: &str) -> Field {
    Field::text(name, label).pattern(PATH)
}

fn token_path() -> Field {
    path("token-path", "Token path").required().default("/token")
}

fn proof<const N: usize>(ways: [(&str, &str); N]) -> Field {
    Field::choice("client-authentication", "How the client proves itself", ways).required().default("basic")
}

fn scope() -> Field {
    Field::text("scope", "Scopes").help("With spaces between.").placeholder("read write")
}

fn audience(help: &str) -> Field {
    Field::text("audience", "Audience").help(help)
}

#[cfg(test)]
mod tests {
    use turnbuckle_sdk::Connector as _;
    use turnbuckle_sdk::testing;

    use crate::Http;

    const BROWSER: &[(&str, &str)] = &[
        ("url", "https://api.example.com"),
        ("authorization-server", "https://login.example.com"),
        ("authorization-path", "/authorize"),
        ("token-path", "/oauth/token"),
        ("client-authentication", "basic"),
    ];

    fn plan(protocol: &str, settings: &[&[(&str, &str)]]) -> Vec<String> {
        let connection = testing::connection(protocol, &settings.concat());
        testing::authentication(&Http::authenticate(&connection).unwrap())
    }

    #[test]
    fn a_person_agrees_at_the_server_that_was_described() {
        assert_eq!(
            plan("oauth2", &[BROWSER]),
            [
                "authorization {authorization-server}/authorize",
                "  pkce S256",
                "  parameter client_id={client-id}",
                "  parameter scope={scope}",
                "  parameter audience={audience}",
                "token POST {authorization-server}/oauth/token",
                "  header Accept: application/json",
                "  basic {client-id}:{client-secret}",
                "  form grant_type=authorization_code",
                "  form code={code}",
                "  form redirect_uri={redirect-uri}",
                "  form code_verifier={code-verifier}",
                "refresh POST {authorization-server}/oauth/token",
                "  header Accept: application/json",
                "  basic {client-id}:{client-secret}",
                "  form grant_type=refresh_token",
                "  form refresh_token={refresh-token}",
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn a_public_client_names_itself_and_tokens_are_revoked_where_that_is_possible() {
        // The first of two settings of one name is the one that counts.
        let public = [("client-authentication", "none"), ("revocation-path", "/oauth/revoke")];
        assert_eq!(
            plan("oauth2", &[&public, BROWSER])[5..],
            [
                "token POST {authorization-server}/oauth/token",
                "  header Accept: application/json",
                "  form grant_type=authorization_code",
                "  form code={code}",
                "  form redirect_uri={redirect-uri}",
                "  form code_verifier={code-verifier}",
                "  form client_id={client-id}",
                "refresh POST {authorization-server}/oauth/token",
                "  header Accept: application/json",
                "  form grant_type=refresh_token",
                "  form refresh_token={refresh-token}",
                "  form client_id={client-id}",
                "revocation POST {authorization-server}/oauth/revoke",
                "  header Accept: application/json",
                "  form token={refresh-token}",
                "  form token_type_hint=refresh_token",
                "  form client_id={client-id}",
                "revocation POST {authorization-server}/oauth/revoke",
                "  header Accept: application/json",
                "  form token={access-token}",
                "  form token_type_hint=access_token",
                "  form client_id={client-id}",
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn the_client_signs_in_by_itself() {
        let body = [("token-path", "/token"), ("client-authentication", "body")];
        assert_eq!(
            plan("oauth2-client-credentials", &[&body]),
            [
                "token POST {authorization-server}/token",
                "  header Accept: application/json",
                "  form grant_type=client_credentials",
                "  form scope={scope}",
                "  form audience={audience}",
                "  form client_id={client-id}",
                "  form client_secret={client-secret}",
                "header Authorization: Bearer {access-token}",
            ]
        );
    }

    #[test]
    fn an_assertion_claims_no_more_than_was_given() {
        let least = [("token-path", "/token"), ("algorithm", "RS256"), ("issuer", "robot")];
        assert_eq!(
            plan("jwt-bearer", &[&least]),
            [
                "derived assertion = jwt RS256 by {private-key} for 180 s",
                "  header {{}}",
                r#"  claims {{"iss":"{issuer}","sub":"{issuer}","aud":"{authorization-server}/token"}}"#,
                "token POST {authorization-server}/token",
                "  header Accept: application/json",
                "  form grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer",
                "  form assertion={assertion}",
                "  form scope={scope}",
                "header Authorization: Bearer {access-token}",
            ]
        );
        let more = [
            ("token-path", "/token"),
            ("algorithm", "ES256"),
            ("subject", "ada"),
            ("audience", "https://login.example.com"),
            ("key-id", "1"),
        ];
        assert_eq!(
            plan("jwt-bearer", &[&more])[..3],
            [
                "derived assertion = jwt ES256 by {private-key} for 180 s",
                r#"  header {{"kid":"{key-id}"}}"#,
                r#"  claims {{"iss":"{issuer}","sub":"{subject}","aud":"{audience}"}}"#,
            ]
        );
    }

    #[test]
    fn fields_of_each_protocol_and_settings_have_names_of_their_own() {
        let descriptor = Http::describe();
        for protocol in &descriptor.protocols {
            let mut names: Vec<_> =
                descriptor.settings.iter().chain(&protocol.fields).map(|field| field.name.as_str()).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}", protocol.name);
        }
    }
}
