use jsonwebtoken::{DecodingKey, Validation};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData as _};
use serde_json::json;

use super::*;
use crate::model::authentication::Encoding;
use crate::model::secret::Secret;

const NOW: i64 = 1_700_000_000;

fn outside() -> Outside {
    Outside::new(|| Timestamp::from_second(NOW).unwrap(), |bytes| bytes.fill(7))
}

fn plan(algorithm: Algorithm, key_encoding: Encoding) -> Jwt {
    Jwt {
        algorithm,
        key: "{key}".into(),
        key_encoding,
        header: r#"{{"typ":"JWT","kid":"{id}","alg":"none"}}"#.into(),
        claims: r#"{{"iss":"{email}","aud":"https://x.test/token","n":{number}}}"#.into(),
        lifetime_seconds: 300,
    }
}

fn values(key: &str) -> Values {
    Values::new()
        .secret("key", Secret::new(key))
        .public("id", "a\"b")
        .public("email", "ada@x.test\",\"admin\":\"true")
        .public("number", "7")
}

fn made(algorithm: Algorithm, encoding: Encoding, key: &str) -> Result<String, PermitError> {
    let token = sign(&plan(algorithm, encoding), &values(key), "derived `jwt`", &outside())?;
    Ok(token.unwrap().text.to_string())
}

fn part(token: &str, at: usize) -> Json {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

fn verified(token: &str, key: &DecodingKey, algorithm: jsonwebtoken::Algorithm) -> bool {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<Json>(token, key, &validation).is_ok()
}

#[test]
fn the_host_adds_what_it_must_and_values_stay_text() {
    let token = made(Algorithm::Hs256, Encoding::Text, "hunter2").unwrap();
    assert_eq!(part(&token, 0).to_string(), r#"{"alg":"HS256","typ":"JWT","kid":"a\"b"}"#);
    assert_eq!(
        part(&token, 1),
        json!({
            "iss": "ada@x.test\",\"admin\":\"true",
            "aud": "https://x.test/token",
            "n": 7,
            "iat": NOW,
            "exp": NOW + 300,
            "jti": "07070707-0707-4707-8707-070707070707",
        })
    );
    assert!(verified(&token, &DecodingKey::from_secret(b"hunter2"), jsonwebtoken::Algorithm::HS256));
    let plan = plan(Algorithm::Hs256, Encoding::Text);
    let token = sign(&plan, &values("hunter2"), "x", &outside()).unwrap().unwrap();
    assert_eq!(token.valid_until.as_second(), NOW + 270);
    let short = Jwt { lifetime_seconds: 20, ..plan.clone() };
    let token = sign(&short, &values("hunter2"), "x", &outside()).unwrap().unwrap();
    assert_eq!(token.valid_until.as_second(), NOW + 10, "else it were never valid");
    assert!(sign(&plan, &Values::new().public("id", "x"), "x", &outside()).unwrap().is_none());
}

#[test]
fn a_claim_of_the_plan_wins_within_the_lifetime() {
    let with = |claims: &str| {
        let plan = Jwt { claims: claims.into(), ..plan(Algorithm::Hs256, Encoding::Text) };
        let token = sign(&plan, &values("hunter2"), "derived `jwt`", &outside()).map_err(|error| error.to_string())?;
        Ok::<_, String>(part(&token.unwrap().text, 1).to_string())
    };
    assert_eq!(with(r#"{{"iat":100,"jti":null}}"#).unwrap(), r#"{"iat":100,"jti":null,"exp":400}"#);
    assert_eq!(
        with(r#"{{"exp":1700000060,"jti":"x"}}"#).unwrap(),
        format!(r#"{{"exp":1700000060,"jti":"x","iat":{NOW}}}"#)
    );
    for (claims, words) in [
        (r#"{{"exp":1700000301}}"#, "is not within its lifetime"),
        (r#"{{"iat":1700000000,"exp":1700000000}}"#, "is not within its lifetime"),
        (r#"{{"exp":9223372036854775807}}"#, "is not within its lifetime"),
        (r#"{{"exp":"tomorrow"}}"#, "no whole number"),
        (r#"{{"iat":1.5}}"#, "no whole number"),
        ("[]", "claims that are no JSON object"),
        (r#"{{"a":"{uuid}"}}"#, "cannot hold {uuid}"),
    ] {
        let error = with(claims).unwrap_err();
        assert!(error.contains(words), "{claims}: {error}");
    }
}

#[test]
fn the_vector_of_rfc_7515_appendix_a_1_comes_out() {
    let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                   eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let jwk =
        r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    let key = key::signing_key(jwk, Encoding::Text, Algorithm::Hs256).unwrap();
    let signature = key::sign(message, &key, Algorithm::Hs256).unwrap();
    assert_eq!(signature, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

#[test]
fn the_key_of_rfc_7515_appendix_a_2_signs_as_it_did() {
    let message = "eyJhbGciOiJSUzI1NiJ9.\
                   eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let key = key::signing_key(RFC_7515_A_2, Encoding::Text, Algorithm::Rs256).unwrap();
    let signature = key::sign(message, &key, Algorithm::Rs256).unwrap();
    assert_eq!(
        signature,
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F\
             p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB\
             MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeY\
             I2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
}

#[test]
fn the_key_of_rfc_7515_appendix_a_3_signs_for_its_public_half() {
    let token = made(Algorithm::Es256, Encoding::Text, RFC_7515_A_3).unwrap();
    let public = DecodingKey::from_ec_components(
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    );
    assert!(verified(&token, &public.unwrap(), jsonwebtoken::Algorithm::ES256));
    // The point may be missing: it follows from the number.
    let bare = r#"{"kty":"EC","crv":"P-256","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
    let token = made(Algorithm::Es256, Encoding::Text, bare).unwrap();
    let public = DecodingKey::from_ec_components(
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    );
    assert!(verified(&token, &public.unwrap(), jsonwebtoken::Algorithm::ES256));
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn a_key_signs_in_each_form_in_which_people_hold_it() {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let pkcs8 = pair.serialize_pem();
    let der = pair.serialize_der();
    // PKCS#8 of P-256 is a fixed frame around its SEC1 form.
    let sec1 = pem("EC PRIVATE KEY", &der[der.len() - 109..]);
    let point = pair.der_bytes();
    let public = DecodingKey::from_ec_der(point);
    let coded = base64::engine::general_purpose::STANDARD.encode(&pkcs8);
    for (key, encoding) in [
        (pkcs8.clone(), Encoding::Text),
        (pkcs8.replace('\n', "\\n"), Encoding::Text),
        (pkcs8.replace('\n', " "), Encoding::Text),
        (sec1, Encoding::Text),
        (coded, Encoding::Base64),
    ] {
        let token = made(Algorithm::Es256, encoding, &key).unwrap();
        assert!(verified(&token, &public, jsonwebtoken::Algorithm::ES256), "{key}");
    }

    let numbers: Json = serde_json::from_str(RFC_7515_A_2).unwrap();
    let number = |name: &str| numbers[name].as_str().unwrap().to_owned();
    let parts =
        ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(|name| super::super::keys::base64(&number(name)).unwrap());
    let pkcs1 = super::super::der::rsa(&parts);
    // RFC 5958's frame around a key of this length, `rsaEncryption` with its NULL.
    let mut pkcs8 = hex::decode("308204bd020100300d06092a864886f70d0101010500048204a7").unwrap();
    assert_eq!(pkcs1.len(), 0x4a7, "the frame says so");
    pkcs8.extend_from_slice(&pkcs1);
    let (pkcs8, pkcs1) = (pem("PRIVATE KEY", &pkcs8), pem("RSA PRIVATE KEY", &pkcs1));
    let public = DecodingKey::from_rsa_components(&number("n"), &number("e")).unwrap();
    for key in [&pkcs8, &pkcs8.replace('\n', "\\n"), &pkcs1] {
        for (algorithm, name) in
            [(Algorithm::Rs256, jsonwebtoken::Algorithm::RS256), (Algorithm::Ps256, jsonwebtoken::Algorithm::PS256)]
        {
            let token = made(algorithm, Encoding::Text, key).unwrap();
            assert!(verified(&token, &public, name), "{algorithm:?} {key}");
        }
    }
}

#[test]
fn a_key_that_is_none_is_told_by_its_field_and_never_shown() {
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    let certificate = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap().cert.pem();
    let rs = Algorithm::Rs256;
    for (algorithm, encoding, key, words) in [
        (rs, Encoding::Text, "hunter2", "an RSA private key is expected"),
        (rs, Encoding::Text, "", "the key is empty"),
        (rs, Encoding::Text, p384.as_str(), "an RSA private key is expected"),
        (rs, Encoding::Text, certificate.as_str(), "the private key is expected"),
        (rs, Encoding::Text, r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}"#, "the JWK lacks a part"),
        (rs, Encoding::Text, RFC_7515_A_3, "an RSA private key is expected"),
        (
            rs,
            Encoding::Text,
            "-----BEGIN RSA PRIVATE KEY-----\nAQID\n-----END RSA PRIVATE KEY-----",
            "2048 bits or more",
        ),
        (Algorithm::Es256, Encoding::Text, p384.as_str(), "the curve P-256 is expected"),
        (Algorithm::Es256, Encoding::Text, "hunter2", "the curve P-256 is expected"),
        (Algorithm::Es256, Encoding::Text, r#"{"kty":"EC","crv":"P-384","d":"AQAB"}"#, "the curve P-256 is expected"),
        (Algorithm::Hs256, Encoding::Text, "", "the key is empty"),
        (Algorithm::Hs256, Encoding::Hex, "hunter2", "is not encoded as the connector says"),
        (Algorithm::Hs256, Encoding::Text, RFC_7515_A_3, "the JWK lacks `k`"),
    ] {
        let error = made(algorithm, encoding, key).unwrap_err();
        assert_eq!(error.field(), Some("key"), "{error}");
        assert!(error.to_string().contains(words), "{algorithm:?} {key}: {error}");
        assert!(key.is_empty() || !error.to_string().contains(key), "{error}");
    }
}

const RFC_7515_A_3: &str = r#"{"kty":"EC","crv":"P-256",
 "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
 "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
 "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

const RFC_7515_A_2: &str = concat!(
    r#"{"kty":"RSA""#,
    r#","n":""#,
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR",
    "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB",
    "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia",
    "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "\"",
    r#","e":""#,
    "AQAB",
    "\"",
    r#","d":""#,
    "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46su",
    "i395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4",
    "qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB",
    "4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
    "\"",
    r#","p":""#,
    "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8",
    "cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
    "\"",
    r#","q":""#,
    "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t",
    "62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
    "\"",
    r#","dp":""#,
    "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCj",
    "n12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
    "\"",
    r#","dq":""#,
    "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnw",
    "gjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
    "\"",
    r#","qi":""#,
    "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93",
    "IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U",
    "\"",
    "}"
);
