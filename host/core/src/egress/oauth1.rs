//! OAuth 1.0a (RFC 5849): a request in, `authorization` out. Nonce and time are handed in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::HeaderValue;
use percent_encoding::{percent_decode, percent_encode};
use url::Url;
use zeroize::Zeroizing;

use super::error::{EgressError, PermitError};
use super::expand::{self, RESERVED, Values};
use super::keys::{Hash, Key};
use crate::model::authentication::{Oauth1, Oauth1Signature, Parameter};

/// What the host writes itself (RFC 5849 section 3.1).
pub(super) const OWN: [&str; 6] = [
    "oauth_consumer_key",
    "oauth_token",
    "oauth_signature_method",
    "oauth_timestamp",
    "oauth_nonce",
    "oauth_signature",
];

const REALM: &str = "realm";
const PLACE: &str = "OAuth 1.0a";

/// Whether a plan may add a parameter of this name.
pub(super) fn may_add(name: &str) -> bool {
    let legal = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    name == REALM || (name.strip_prefix("oauth_").is_some_and(legal) && !OWN.contains(&name))
}

/// Encoded as RFC 5849 section 3.6 says. A token and a plaintext signature are secrets.
type Text = Zeroizing<String>;

/// Who signs.
pub(super) struct Credentials {
    method: Oauth1Signature,
    /// Consumer key, token and what the plan adds.
    parameters: Vec<(String, Zeroizing<String>)>,
    /// Ready to stand in quotes.
    realm: Option<String>,
    /// Consumer secret and token secret, each encoded, joined by `&` (RFC 5849 section 3.4.2).
    key: Zeroizing<String>,
}

/// A request as it will leave.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    /// The body, where it is a form.
    pub(super) form: Option<&'a [u8]>,
}

/// A header, and the signature in it.
pub(super) struct Signed {
    pub(super) authorization: HeaderValue,
    pub(super) signature: Zeroizing<String>,
}

impl Credentials {
    /// None where there is no consumer key: such a request leaves unsigned.
    pub(super) fn resolve(plan: &Oauth1, values: &Values) -> Result<Option<Self>, PermitError> {
        let text = |template: &str| -> Result<Option<Zeroizing<String>>, PermitError> {
            let Some(expanded) = expand::whole(template, values, PLACE)? else { return Ok(None) };
            match expanded.constant() {
                true => Ok(Some(expanded.text)),
                false => Err(PermitError::Plan { place: PLACE.to_owned(), problem: "cannot hold {uuid}" }),
            }
        };
        let optional = |template: &Option<String>| template.as_deref().map_or(Ok(None), text);
        let Some(consumer_key) = text(&plan.consumer_key)? else { return Ok(None) };
        let secrets = [text(&plan.consumer_secret)?, optional(&plan.token_secret)?];
        let [consumer_secret, token_secret] =
            secrets.map(|secret| encode(secret.as_ref().map_or("", |secret| secret.as_str())));
        let key = Zeroizing::new(format!("{}&{}", *consumer_secret, *token_secret));

        let mut parameters = vec![(OWN[0].to_owned(), consumer_key)];
        parameters.extend(optional(&plan.token)?.map(|token| (OWN[1].to_owned(), token)));
        let mut realm = None;
        for Parameter { name, value } in &plan.parameters {
            if !may_add(name) {
                let problem = "adds only `realm` and `oauth_` parameters that are not the host's";
                return Err(PermitError::Plan { place: PLACE.to_owned(), problem });
            }
            let Some(text) = text(value)? else { continue };
            if name == REALM {
                if text.contains(|c: char| !c.is_ascii_graphic() && c != ' ') {
                    let problem = "a realm holds printable ASCII characters alone";
                    return Err(expand::blame(value, PLACE, problem));
                }
                realm = Some(text.replace('\\', "\\\\").replace('"', "\\\""));
            } else {
                parameters.push((name.clone(), text));
            }
        }
        Ok(Some(Self { method: plan.signature, parameters, realm, key }))
    }

    /// The header for one request.
    pub(super) fn sign(&self, target: Target<'_>, nonce: &str, timestamp: i64) -> Result<Signed, EgressError> {
        let mut own: Vec<(&str, Text)> =
            self.parameters.iter().map(|(name, value)| (name.as_str(), encode(value.as_bytes()))).collect();
        let method = match self.method {
            Oauth1Signature::HmacSha1 => "HMAC-SHA1",
            Oauth1Signature::HmacSha256 => "HMAC-SHA256",
            Oauth1Signature::Plaintext => "PLAINTEXT",
        };
        own.extend([(OWN[2], encode(method)), (OWN[3], encode(timestamp.to_string())), (OWN[4], encode(nonce))]);
        let written = pairs(target.url.query().unwrap_or_default().as_bytes())
            .chain(pairs(target.form.unwrap_or_default()))
            .collect::<Vec<_>>();
        if written.iter().any(|(name, _)| name.as_str() == OWN[5] || own.iter().any(|(own, _)| *own == name.as_str())) {
            let problem = "the request writes an `oauth_` parameter that is the credential's";
            return Err(EgressError::attach(problem));
        }
        let signature = Zeroizing::new(match self.method {
            Oauth1Signature::Plaintext => self.key.to_string(),
            Oauth1Signature::HmacSha1 => self.mac(Hash::Sha1, &base_string(target, &own, written)),
            Oauth1Signature::HmacSha256 => self.mac(Hash::Sha256, &base_string(target, &own, written)),
        });
        own.push((OWN[5], encode(signature.as_bytes())));

        let mut line = Zeroizing::new(String::from("OAuth "));
        if let Some(realm) = &self.realm {
            line.push_str(&format!("realm=\"{realm}\", "));
        }
        for (at, (name, value)) in own.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            for part in [comma, name, "=\"", value, "\""] {
                line.push_str(part);
            }
        }
        let Ok(mut authorization) = HeaderValue::from_bytes(line.as_bytes()) else {
            return Err(EgressError::attach("an OAuth 1.0a parameter is no header text"));
        };
        authorization.set_sensitive(true);
        Ok(Signed { authorization, signature })
    }

    fn mac(&self, hash: Hash, base_string: &str) -> String {
        let key = Key::new(Zeroizing::new(self.key.as_bytes().to_vec()));
        STANDARD.encode(key.mac(hash, base_string.as_bytes()))
    }
}

/// RFC 5849 section 3.4.1.
fn base_string(target: Target<'_>, own: &[(&str, Text)], mut parameters: Vec<(Text, Text)>) -> Text {
    parameters.extend(own.iter().map(|(name, value)| (encode(name), value.clone())));
    parameters.sort_unstable_by(|(name, value), other| {
        (name.as_str(), value.as_str()).cmp(&(other.0.as_str(), other.1.as_str()))
    });
    let mut pairs = Zeroizing::new(String::new());
    for (name, value) in &parameters {
        let and = if pairs.is_empty() { "" } else { "&" };
        for part in [and, name, "=", value] {
            pairs.push_str(part);
        }
    }
    // The parser made scheme and host lower-case and left out a default port.
    let url = &target.url[..url::Position::AfterPath];
    let method = target.method.as_str().to_ascii_uppercase();
    Zeroizing::new(format!("{method}&{}&{}", *encode(url), *encode(pairs.as_bytes())))
}

/// The pairs of a query or a form, each encoded as RFC 5849 section 3.6 says.
fn pairs(text: &[u8]) -> impl Iterator<Item = (Text, Text)> {
    let part = |text: &[u8]| {
        let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
        let spaced = Zeroizing::new(spaced);
        encode(Zeroizing::new(percent_decode(&spaced).collect::<Vec<u8>>()).as_slice())
    };
    text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let at = pair.iter().position(|&byte| byte == b'=');
        (part(&pair[..at.unwrap_or(pair.len())]), part(at.map_or(&[][..], |at| &pair[at + 1..])))
    })
}

fn encode(text: impl AsRef<[u8]>) -> Text {
    Zeroizing::new(percent_encode(text.as_ref(), RESERVED).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;
    use proptest::prelude::*;

    fn plan(signature: Oauth1Signature, token: bool, parameters: &[(&str, &str)]) -> Oauth1 {
        Oauth1 {
            signature,
            consumer_key: "{key}".into(),
            consumer_secret: "{secret}".into(),
            token: token.then(|| "{token}".into()),
            token_secret: token.then(|| "{token-secret}".into()),
            parameters: parameters
                .iter()
                .map(|&(name, value)| Parameter { name: name.into(), value: value.into() })
                .collect(),
        }
    }

    fn values(key: &str, secret: &str, token: &str, token_secret: &str) -> Values {
        Values::new()
            .public("key", key)
            .secret("secret", Secret::new(secret))
            .secret("token", Secret::new(token))
            .secret("token-secret", Secret::new(token_secret))
    }

    struct Request<'a>(&'a str, &'a str, Option<&'a str>, &'a str, i64);

    fn sign(credentials: &Credentials, request: &Request<'_>) -> String {
        let Request(method, url, form, nonce, timestamp) = request;
        let (method, url) = (method.parse().unwrap(), url.parse().unwrap());
        let target = Target { method: &method, url: &url, form: form.map(str::as_bytes) };
        let signed = credentials.sign(target, nonce, *timestamp).unwrap();
        assert!(signed.authorization.is_sensitive());
        signed.authorization.to_str().unwrap().to_owned()
    }

    fn printer(token: &str, token_secret: &str, parameters: &[(&str, &str)]) -> Credentials {
        let plan = plan(Oauth1Signature::HmacSha1, !token.is_empty(), parameters);
        let values = values("dpf43f3p2l4k3l03", "kd94hf93k423kf44", token, token_secret);
        Credentials::resolve(&plan, &values).unwrap().unwrap()
    }

    #[test]
    fn the_three_requests_of_rfc_5849_section_1_2_come_out() {
        let callback = [("oauth_callback", "http://printer.example.com/ready"), ("realm", "Photos")];
        assert_eq!(
            sign(
                &printer("", "", &callback),
                &Request("POST", "https://photos.example.net/initiate", None, "wIjqoS", 137_131_200)
            ),
            "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", \
             oauth_callback=\"http%3A%2F%2Fprinter.example.com%2Fready\", oauth_signature_method=\"HMAC-SHA1\", \
             oauth_timestamp=\"137131200\", oauth_nonce=\"wIjqoS\", oauth_signature=\"74KNZJeDHnMBp0EMJ9ZHt%2FXKycU%3D\""
        );
        for (credentials, request, signature) in [
            (
                printer("hh5s93j4hdidpola", "hdhd0244k9j7ao03", &[("oauth_verifier", "hfdp7dh39dks9884")]),
                Request("POST", "https://photos.example.net/token", None, "walatlh", 137_131_201),
                "gKgrFCywp7rO0OXSjdot%2FIHF7IU%3D",
            ),
            (
                printer("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00", &[("realm", "Photos")]),
                Request(
                    "GET",
                    "http://photos.example.net/photos?file=vacation.jpg&size=original",
                    None,
                    "chapoH",
                    137_131_202,
                ),
                "MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D",
            ),
        ] {
            let header = sign(&credentials, &request);
            assert!(header.ends_with(&format!("oauth_signature=\"{signature}\"")), "{header}");
        }
    }

    #[test]
    fn the_base_string_of_rfc_5849_section_3_4_1_1_comes_out() {
        let (method, url) =
            (Method::POST, "http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b".parse().unwrap());
        let target = Target { method: &method, url: &url, form: Some(b"c2&a3=2+q") };
        let own = [
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ]
        .map(|(name, value)| (name, encode(value)));
        let written = pairs(url.query().unwrap().as_bytes()).chain(pairs(target.form.unwrap())).collect();
        assert_eq!(
            base_string(target, &own, written).as_str(),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D\
             %26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1\
             %26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    #[test]
    fn the_example_of_twitter_comes_out() {
        let values = values(
            "xvz1evFS4wEEPTGEFPHBog",
            "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
            "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
            "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
        );
        let plan = plan(Oauth1Signature::HmacSha1, true, &[("oauth_version", "1.0")]);
        let credentials = Credentials::resolve(&plan, &values).unwrap().unwrap();
        let form = "status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21";
        let nonce = "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg";
        for (version, signature) in
            [("1", "tnnArxj06cWHq44gCs1OSKk%2FjLY%3D"), ("1.1", "hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D")]
        {
            let url = format!("https://api.twitter.com/{version}/statuses/update.json?include_entities=true");
            let header = sign(&credentials, &Request("POST", &url, Some(form), nonce, 1_318_622_958));
            assert!(header.ends_with(&format!("oauth_signature=\"{signature}\"")), "{header}");
        }
    }

    #[test]
    fn sha_256_signs_as_netsuite_asks_with_the_account_as_realm() {
        let values = values("ck", "cs", "tk", "ts").public("account", "123456_SB1");
        let plan = plan(Oauth1Signature::HmacSha256, true, &[("oauth_version", "1.0"), ("realm", "{account}")]);
        let credentials = Credentials::resolve(&plan, &values).unwrap().unwrap();
        let url = "https://123456-sb1.suitetalk.api.netsuite.com/services/rest/record/v1/customer?limit=1&q=a+b";
        let header = sign(&credentials, &Request("GET", url, None, "n0nce", 1_508_242_306));
        // Computed by Python's hmac over the base string written out by hand.
        assert_eq!(
            header,
            "OAuth realm=\"123456_SB1\", oauth_consumer_key=\"ck\", oauth_token=\"tk\", oauth_version=\"1.0\", \
             oauth_signature_method=\"HMAC-SHA256\", oauth_timestamp=\"1508242306\", oauth_nonce=\"n0nce\", \
             oauth_signature=\"lPd2%2FmhkSd%2BFPYdBcUSyt%2FTaRCyLgXjRpJzqXgtQwhI%3D\""
        );
    }

    #[test]
    fn plaintext_is_the_two_secrets() {
        let values = values("ck", "djr9rjt0jd78jf88", "tk", "jjd99$tj88uiths3");
        let credentials = Credentials::resolve(&plan(Oauth1Signature::Plaintext, true, &[]), &values).unwrap().unwrap();
        let header = sign(&credentials, &Request("GET", "https://x.test/", None, "n", 1));
        // RFC 5849 section 3.4.4 has these secrets in its example of section 2.1.
        assert!(header.ends_with("oauth_signature=\"djr9rjt0jd78jf88%26jjd99%2524tj88uiths3\""), "{header}");
    }

    #[test]
    fn what_a_plan_may_not_add_or_a_request_may_not_write_is_refused() {
        for name in ["oauth_nonce", "oauth_signature", "oauth_", "x", "oauth_a b", "Realm"] {
            assert!(!may_add(name), "{name}");
            let plan = plan(Oauth1Signature::HmacSha1, false, &[(name, "x")]);
            assert!(Credentials::resolve(&plan, &values("k", "s", "", "")).is_err(), "{name}");
        }
        assert!(may_add("realm") && may_add("oauth_callback") && may_add("oauth_body_hash"));
        let credentials = printer("t", "ts", &[]);
        for (query, form) in [("oauth_token=mine", None), ("oauth%5Fsignature", None), ("a=b", Some("oauth_nonce=1"))] {
            let url = format!("https://x.test/?{query}").parse().unwrap();
            let target = Target { method: &Method::POST, url: &url, form: form.map(str::as_bytes) };
            assert!(credentials.sign(target, "n", 1).is_err(), "{query} {form:?}");
        }
        let realm = plan(Oauth1Signature::HmacSha1, false, &[("realm", "{account}")]);
        let error = Credentials::resolve(&realm, &values("k", "s", "", "").public("account", "a\nb")).err().unwrap();
        assert_eq!(error.field(), Some("account"));
        let fresh = plan(Oauth1Signature::HmacSha1, false, &[("oauth_x", "{uuid}")]);
        assert!(Credentials::resolve(&fresh, &values("k", "s", "", "")).is_err());
        assert!(Credentials::resolve(&realm, &Values::new()).unwrap().is_none(), "no consumer key, no signature");
    }

    proptest! {
        #[test]
        fn the_order_of_parameters_and_where_they_stand_change_nothing(
            mut pairs in prop::collection::vec(("[a-c%]{1,3}", "[ -~é]{0,5}"), 0..6), at in 0usize..6,
        ) {
            let credentials = printer("t", "ts", &[]);
            let query = |pairs: &[(String, String)]| {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(pairs).finish()
            };
            let one = sign(
                &credentials,
                &Request("POST", &format!("https://x.test/?{}", query(&pairs)), None, "n", 1),
            );
            pairs.reverse();
            let (first, second) = pairs.split_at(at.min(pairs.len()));
            let form = query(second);
            let url = format!("https://x.test/?{}", query(first));
            let other = sign(&credentials, &Request("POST", &url, Some(&form), "n", 1));
            prop_assert_eq!(one, other);
        }
    }
}
