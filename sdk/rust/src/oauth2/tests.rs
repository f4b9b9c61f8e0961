use super::*;
use crate::testing::authentication;
use crate::{Algorithm, Sigv4};

const AUTHORIZE: &str = "https://a.example/authorize";
const TOKEN: &str = "https://a.example/token";

fn code() -> Flow<Browser> {
    authorization_code(AUTHORIZE, TOKEN)
}

/// The lines from the one that begins so to the next that is not indented.
fn step(plan: &Authentication, begins: &str) -> Vec<String> {
    let lines = authentication(plan).into_iter().skip_while(|line| !line.starts_with(begins));
    lines.enumerate().take_while(|(index, line)| *index == 0 || line.starts_with(' ')).map(|(_, line)| line).collect()
}

#[test]
fn the_plain_grant_is_that_of_the_standards() {
    assert_eq!(
        authentication(&code().scope("read {scope}").build()),
        [
            "authorization https://a.example/authorize",
            "  pkce S256",
            "  parameter client_id={client-id}",
            "  parameter scope=read {scope}",
            "token POST https://a.example/token",
            "  header Accept: application/json",
            "  basic {client-id}:{client-secret}",
            "  form grant_type=authorization_code",
            "  form code={code}",
            "  form redirect_uri={redirect-uri}",
            "  form code_verifier={code-verifier}",
            "refresh POST https://a.example/token",
            "  header Accept: application/json",
            "  basic {client-id}:{client-secret}",
            "  form grant_type=refresh_token",
            "  form refresh_token={refresh-token}",
            "header Authorization: Bearer {access-token}",
        ]
    );
}

#[test]
fn every_quirk_is_written_where_it_belongs() {
    let plan = code()
        .authorization_parameter("audience", "api.example.com")
        .callback_capture(Capture::callback("realm-id", "realmId").visible())
        .without_pkce()
        .client_in_body()
        .token_parameter("resource", "{url}")
        .capture(Capture::body("instance-url", "/instance_url").visible())
        .access_token_at("/authed_user/access_token")
        .token_capture(Capture::header("tenant", "x-tenant"))
        .then(Request::get("https://a.example/sites").header("Authorization", "Bearer {access-token}"))
        .refresh_url("https://b.example/refresh")
        .refresh_parameter("scope", "read")
        .revocation("https://a.example/revoke")
        .grant_placement(Placement::header("User-Agent", "turnbuckle"))
        .lifetime(7200)
        .place(Placement::query("access_token", "{access-token}"))
        .place(Placement::header("X-Realm", "{realm-id}"));
    assert_eq!(
        authentication(&plan.build()),
        [
            "authorization https://a.example/authorize",
            "  pkce off",
            "  parameter client_id={client-id}",
            "  parameter audience=api.example.com",
            "  capture realm-id = callback realmId, visible",
            "token POST https://a.example/token",
            "  header Accept: application/json",
            "  header User-Agent: turnbuckle",
            "  form grant_type=authorization_code",
            "  form code={code}",
            "  form redirect_uri={redirect-uri}",
            "  form resource={url}",
            "  form client_id={client-id}",
            "  form client_secret={client-secret}",
            "  capture instance-url = body /instance_url, visible",
            "  capture access-token = body /authed_user/access_token",
            "  capture tenant = header x-tenant",
            "token GET https://a.example/sites",
            "  header Authorization: Bearer {access-token}",
            "refresh POST https://b.example/refresh",
            "  header Accept: application/json",
            "  header User-Agent: turnbuckle",
            "  form grant_type=refresh_token",
            "  form refresh_token={refresh-token}",
            "  form scope=read",
            "  form client_id={client-id}",
            "  form client_secret={client-secret}",
            "  capture instance-url = body /instance_url, visible",
            "revocation POST https://a.example/revoke",
            "  header Accept: application/json",
            "  header User-Agent: turnbuckle",
            "  form token={refresh-token}",
            "  form token_type_hint=refresh_token",
            "  form client_id={client-id}",
            "  form client_secret={client-secret}",
            "revocation POST https://a.example/revoke",
            "  header Accept: application/json",
            "  header User-Agent: turnbuckle",
            "  form token={access-token}",
            "  form token_type_hint=access_token",
            "  form client_id={client-id}",
            "  form client_secret={client-secret}",
            "lifetime 7200 s",
            "query access_token={access-token}",
            "header X-Realm: {realm-id}",
        ]
    );
}

#[test]
fn a_public_client_says_who_it_is_and_proves_nothing() {
    let plan = code().public_client().without_refresh().revocation("https://a.example/revoke").build();
    assert_eq!(
        step(&plan, "token"),
        [
            "token POST https://a.example/token",
            "  header Accept: application/json",
            "  form grant_type=authorization_code",
            "  form code={code}",
            "  form redirect_uri={redirect-uri}",
            "  form code_verifier={code-verifier}",
            "  form client_id={client-id}",
        ]
    );
    assert_eq!(plan.grant.refresh, []);
    assert_eq!(plan.grant.revocation.len(), 1, "there is no refresh token to revoke");
}

#[test]
fn a_client_assertion_is_about_the_client() {
    let assertion = Assertion::new(Algorithm::Ps256, "{private-key}").key_id("{key-id}").lifetime(300);
    assert_eq!(
        authentication(&client_credentials(TOKEN).client_assertion(assertion).scope("read").build()),
        [
            "derived client-assertion = jwt PS256 by {private-key} for 300 s",
            r#"  header {{"kid":"{key-id}"}}"#,
            r#"  claims {{"iss":"{client-id}","sub":"{client-id}","aud":"https://a.example/token"}}"#,
            "token POST https://a.example/token",
            "  header Accept: application/json",
            "  form grant_type=client_credentials",
            "  form scope=read",
            "  form client_id={client-id}",
            "  form client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "  form client_assertion={client-assertion}",
            "header Authorization: Bearer {access-token}",
        ]
    );
}

#[test]
fn a_signed_grant_runs_again_instead_of_being_refreshed() {
    let assertion = Assertion::new(Algorithm::Rs256, "{private-key}")
        .issuer("{client-email}")
        .subject("{user}")
        .claim("scope", "a b")
        .lifetime(3600);
    let plan = jwt_bearer(TOKEN, assertion.clone()).build();
    assert_eq!(
        authentication(&plan),
        [
            "derived assertion = jwt RS256 by {private-key} for 3600 s",
            "  header {{}}",
            r#"  claims {{"iss":"{client-email}","sub":"{user}","scope":"a b","aud":"https://a.example/token"}}"#,
            "token POST https://a.example/token",
            "  header Accept: application/json",
            "  form grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer",
            "  form assertion={assertion}",
            "header Authorization: Bearer {access-token}",
        ]
    );
    let named = jwt_bearer(TOKEN, assertion.audience("https://b.example")).client_in_header().build();
    assert_eq!(step(&named, "token")[2], "  basic {client-id}:{client-secret}");
    assert_eq!(
        step(&named, "derived")[2],
        r#"  claims {{"iss":"{client-email}","sub":"{user}","scope":"a b","aud":"https://b.example"}}"#
    );
}

#[test]
fn what_is_obtained_may_be_lent_keys_as_well() {
    let keys = Sigv4::new("{region}", "execute-api", "{access-key-id}", "{secret-access-key}");
    let plan = client_credentials(TOKEN)
        .capture(Capture::body("access-key-id", "/keys/id"))
        .capture(Capture::body("secret-access-key", "/keys/secret"))
        .place(keys)
        .build();
    let line = "aws-sigv4 execute-api in {region} key {access-key-id}:{secret-access-key}";
    assert_eq!(crate::testing::placements(&plan), [line]);
}
