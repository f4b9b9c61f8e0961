//! A plan in lines, one for each thing that it says, so that a test can compare all of it.

use crate::{
    Algorithm, Authentication, Body, Capture, Derivation, Derived, Encoding, Oauth1, Oauth1Signature, Parameter,
    Placement, Request, Sigv4, Source,
};

/// Everything that `authenticate` answered, in the order in which the host uses it.
///
/// ```
/// use turnbuckle_sdk::{oauth2, testing};
///
/// let plan = oauth2::client_credentials("https://example.com/token").client_in_body().scope("read").build();
/// assert_eq!(
///     testing::authentication(&plan),
///     [
///         "token POST https://example.com/token",
///         "  header Accept: application/json",
///         "  form grant_type=client_credentials",
///         "  form scope=read",
///         "  form client_id={client-id}",
///         "  form client_secret={client-secret}",
///         "header Authorization: Bearer {access-token}",
///     ]
/// );
/// ```
pub fn authentication(authentication: &Authentication) -> Vec<String> {
    let Authentication { derived, grant, placements } = authentication;
    let mut lines = Vec::new();
    for derived in derived {
        lines.extend(derivation(derived));
    }
    requests("prepare", &grant.prepare, &mut lines);
    if let Some(authorization) = &grant.authorization {
        lines.push(format!("authorization {}", authorization.url));
        lines.push(format!("  pkce {}", if authorization.pkce { "S256" } else { "off" }));
        lines.extend(parameters("parameter", &authorization.parameters));
        lines.extend(authorization.captures.iter().map(capture));
    }
    requests("token", &grant.token, &mut lines);
    requests("refresh", &grant.refresh, &mut lines);
    requests("revocation", &grant.revocation, &mut lines);
    lines.extend(grant.lifetime_seconds.map(|seconds| format!("lifetime {seconds} s")));
    lines.extend(placements.iter().map(placement));
    lines.iter().map(|line| line.replace('\r', "\\r").replace('\n', "\\n")).collect()
}

/// Placements in a line each, to compare with.
pub fn placements(authentication: &Authentication) -> Vec<String> {
    authentication.placements.iter().map(placement).collect()
}

fn derivation(derived: &Derived) -> Vec<String> {
    let name = &derived.name;
    match &derived.value {
        Derivation::Base64(template) => vec![format!("derived {name} = base64 {template}")],
        Derivation::Jwt(jwt) => {
            let algorithm = match jwt.algorithm {
                Algorithm::Hs256 => "HS256",
                Algorithm::Rs256 => "RS256",
                Algorithm::Ps256 => "PS256",
                Algorithm::Es256 => "ES256",
            };
            let encoding = match jwt.key_encoding {
                Encoding::Text => "",
                Encoding::Base64 => " in base64",
                Encoding::Hex => " in hex",
            };
            vec![
                format!("derived {name} = jwt {algorithm} by {}{encoding} for {} s", jwt.key, jwt.lifetime_seconds),
                format!("  header {}", jwt.header),
                format!("  claims {}", jwt.claims),
            ]
        }
    }
}

fn requests(step: &str, requests: &[Request], lines: &mut Vec<String>) {
    for request in requests {
        lines.push(format!("{step} {} {}", request.method, request.url));
        lines.extend(request.placements.iter().map(|place| format!("  {}", placement(place))));
        lines.extend(body(&request.body));
        lines.extend(request.captures.iter().map(capture));
    }
}

fn body(body: &Body) -> Vec<String> {
    match body {
        Body::None => Vec::new(),
        Body::Form(fields) => parameters("form", fields).collect(),
        Body::Json(template) => vec![format!("  json {template}")],
        Body::Text((media_type, template)) => vec![format!("  text {media_type}: {template}")],
    }
}

fn parameters(kind: &str, parameters: &[Parameter]) -> impl Iterator<Item = String> {
    parameters.iter().map(move |Parameter { name, value }| format!("  {kind} {name}={value}"))
}

fn capture(capture: &Capture) -> String {
    let Capture { name, source, visible } = capture;
    let source = match source {
        Source::Body(pointer) if pointer.is_empty() => "body".to_owned(),
        Source::Body(pointer) => format!("body {pointer}"),
        Source::Header(header) => format!("header {header}"),
        Source::Cookie(cookie) => format!("cookie {cookie}"),
        Source::Callback(parameter) => format!("callback {parameter}"),
    };
    format!("  capture {name} = {source}{}", if *visible { ", visible" } else { "" })
}

fn placement(placement: &Placement) -> String {
    match placement {
        Placement::Header(header) => format!("header {}: {}", header.name, header.value),
        Placement::Query(query) => format!("query {}={}", query.name, query.value),
        Placement::Cookie(cookie) => format!("cookie {}={}", cookie.name, cookie.value),
        Placement::PathPrefix(prefix) => format!("path-prefix {prefix}"),
        Placement::Body(body) => format!("body {}={}", body.name, body.value),
        Placement::Basic(basic) => format!("basic {}:{}", basic.username, basic.password),
        Placement::Digest(digest) => format!("digest {}:{}", digest.username, digest.password),
        Placement::Oauth1(signature) => oauth1(signature),
        Placement::AwsSigv4(signature) => sigv4(signature),
        Placement::ClientCertificate(certificate) => {
            format!("client-certificate chain {} key {}", certificate.chain, certificate.key)
        }
        Placement::Signed => "signed".to_owned(),
    }
}

fn oauth1(oauth1: &Oauth1) -> String {
    let signature = match oauth1.signature {
        Oauth1Signature::HmacSha1 => "HMAC-SHA1",
        Oauth1Signature::HmacSha256 => "HMAC-SHA256",
        Oauth1Signature::Plaintext => "PLAINTEXT",
    };
    let mut line = format!("oauth1 {signature} consumer {}:{}", oauth1.consumer_key, oauth1.consumer_secret);
    if oauth1.token.is_some() || oauth1.token_secret.is_some() {
        let [token, secret] = [&oauth1.token, &oauth1.token_secret].map(|part| part.as_deref().unwrap_or_default());
        line.push_str(&format!(" token {token}:{secret}"));
    }
    for Parameter { name, value } in &oauth1.parameters {
        line.push_str(&format!(" {name}={value}"));
    }
    line
}

fn sigv4(sigv4: &Sigv4) -> String {
    let Sigv4 { region, service, access_key_id, secret_access_key, session_token } = sigv4;
    let session = session_token.as_ref().map(|token| format!(" session {token}")).unwrap_or_default();
    format!("aws-sigv4 {service} in {region} key {access_key_id}:{secret_access_key}{session}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Assertion;

    #[test]
    fn every_placement_is_shown_with_all_that_it_says() {
        let token = Oauth1::new("{ck}", "{cs}").token("{t}", "{ts}").signature(Oauth1Signature::HmacSha256);
        let lent = Sigv4::new("{region}", "s3", "{id}", "{secret}").session_token("{session-token}");
        let plan = Authentication::new()
            .place(Placement::oauth1("{ck}", "{cs}", "{t}", "{ts}"))
            .place(Oauth1::new("{ck}", "{cs}").signature(Oauth1Signature::Plaintext).parameter("oauth_callback", "oob"))
            .place(token.realm("{account}"))
            .place(Placement::aws_sigv4("eu-west-1", "execute-api", "{id}", "{secret}"))
            .place(lent)
            .place(Placement::client_certificate("{chain}", "{key}"))
            .place(Placement::signed());
        assert_eq!(
            placements(&plan),
            [
                "oauth1 HMAC-SHA1 consumer {ck}:{cs} token {t}:{ts}",
                "oauth1 PLAINTEXT consumer {ck}:{cs} oauth_callback=oob",
                "oauth1 HMAC-SHA256 consumer {ck}:{cs} token {t}:{ts} realm={account}",
                "aws-sigv4 execute-api in eu-west-1 key {id}:{secret}",
                "aws-sigv4 s3 in {region} key {id}:{secret} session {session-token}",
                "client-certificate chain {chain} key {key}",
                "signed",
            ]
        );
    }

    #[test]
    fn what_is_derived_stands_first_and_on_one_line_each() {
        let token = Assertion::new(Algorithm::Hs256, "{key}").key_encoding(Encoding::Hex).issuer("a\nb");
        let plan = Authentication::new().base64("pair", "{user}:\n{token}").jwt("token", token);
        assert_eq!(
            authentication(&plan),
            [
                r"derived pair = base64 {user}:\n{token}",
                "derived token = jwt HS256 by {key} in hex for 180 s",
                "  header {{}}",
                r#"  claims {{"iss":"a\nb"}}"#,
            ]
        );
    }
}
