//! JSON Web Tokens that the host signs: an assertion of who asks (RFC 7523), or the credential itself.

use serde_json::{Map, Value};

use crate::{Algorithm, Encoding, Jwt, template};

/// Services bound how far ahead a token may expire. Three minutes, Salesforce's bound, is the tightest that is common.
const LIFETIME: u32 = 180;

/// A token in the making. Texts in it are templates; the host adds `alg`, `iat`, `exp` and `jti`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an assertion does nothing until a grant or `Authentication::jwt` takes it"]
pub struct Assertion {
    algorithm: Algorithm,
    key: String,
    key_encoding: Encoding,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    lifetime_seconds: u32,
}

impl Assertion {
    /// Signed with a key: PEM, JWK or, for HS256, a text such as `{client-secret}`.
    pub fn new(algorithm: Algorithm, key: impl Into<String>) -> Self {
        Self {
            algorithm,
            key: key.into(),
            key_encoding: Encoding::Text,
            header: Map::new(),
            claims: Map::new(),
            lifetime_seconds: LIFETIME,
        }
    }

    /// How the bytes of an HS256 key are written.
    pub fn key_encoding(mut self, encoding: Encoding) -> Self {
        self.key_encoding = encoding;
        self
    }

    /// Which of several keys it is: `kid` in the header.
    pub fn key_id(self, key_id: impl Into<String>) -> Self {
        self.header("kid", key_id.into())
    }

    /// Who says so: `iss`.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.claim("iss", issuer.into())
    }

    /// For whom access is asked: `sub`. Say it only where there is one: without its value there is no token.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.claim("sub", subject.into())
    }

    /// Who should believe it: `aud`. A grant writes its token URL where nothing is said.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.claim("aud", audience.into())
    }

    /// Any other claim, such as Google's `scope`; one of the same name is replaced.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// A member of the header besides `alg`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// From `iat` to `exp`; three minutes where nothing is said.
    pub fn lifetime(mut self, seconds: u32) -> Self {
        self.lifetime_seconds = seconds;
        self
    }

    /// The same, with these claims where it has none of their names.
    pub(crate) fn or_claims<'a>(mut self, claims: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        for (name, value) in claims {
            self.claims.entry(name).or_insert_with(|| value.into());
        }
        self
    }

    /// As the contract writes it.
    pub fn build(self) -> Jwt {
        Jwt {
            algorithm: self.algorithm,
            key: self.key,
            key_encoding: self.key_encoding,
            header: template::json(&Value::Object(self.header)),
            claims: template::json(&Value::Object(self.claims)),
            lifetime_seconds: self.lifetime_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_claims_are_templates_of_json() {
        let token = Assertion::new(Algorithm::Rs256, "{private-key}")
            .key_id("{key-id}")
            .issuer("{client-email}")
            .audience("https://a.example/\"x\"")
            .claim("nested", serde_json::json!({"of": ["{subject}"]}));
        let jwt = token.build();
        assert_eq!(jwt.header, r#"{{"kid":"{key-id}"}}"#);
        let claims = r#"{{"iss":"{client-email}","aud":"https://a.example/\"x\"","nested":{{"of":["{subject}"]}}}}"#;
        assert_eq!(jwt.claims, claims);
        assert_eq!((jwt.key.as_str(), jwt.lifetime_seconds), ("{private-key}", 180));
    }

    #[test]
    fn nothing_said_is_an_empty_object() {
        let jwt = Assertion::new(Algorithm::Hs256, "{key}").key_encoding(Encoding::Base64).lifetime(60).build();
        assert_eq!((jwt.header.as_str(), jwt.claims.as_str()), ("{{}}", "{{}}"));
        assert_eq!((jwt.key_encoding, jwt.lifetime_seconds), (Encoding::Base64, 60));
    }
}
