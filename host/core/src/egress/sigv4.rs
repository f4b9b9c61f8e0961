//! AWS Signature Version 4. The arithmetic is AWS's own crate; here is what it is told, and what it may not tell.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Identity;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::{percent_decode, percent_encode};
use url::Url;
use zeroize::Zeroizing;

use super::error::{EgressError, PermitError};
use super::expand::{self, Expanded, RESERVED, Values};
use crate::model::authentication::Sigv4;

/// What the signature writes besides `authorization`.
pub(super) const OWN: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-content-sha256"),
];

/// Whom each hop may touch, or what others attach: a signature over them breaks on the way.
const UNSIGNED: [HeaderName; 3] = [header::ACCEPT_ENCODING, header::COOKIE, header::CONTENT_LENGTH];

const PLACE: &str = "AWS Signature Version 4";

/// Who signs for what.
pub(super) struct Credentials {
    identity: Identity,
    region: String,
    service: String,
}

impl Credentials {
    /// None where there is no key: such a request leaves unsigned, as a public bucket takes it.
    pub(super) fn resolve(plan: &Sigv4, values: &Values) -> Result<Option<Self>, PermitError> {
        let text = |template: &str| -> Result<Option<Expanded>, PermitError> {
            let expanded = expand::whole(template, values, PLACE)?;
            match expanded {
                Some(expanded) if !expanded.constant() => {
                    Err(PermitError::Plan { place: PLACE.to_owned(), problem: "cannot hold {uuid}" })
                }
                expanded => Ok(expanded),
            }
        };
        let (Some(id), Some(key)) = (text(&plan.access_key_id)?, text(&plan.secret_access_key)?) else {
            return Ok(None);
        };
        if id.text.is_empty() || !id.text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
            return Err(expand::blame(&plan.access_key_id, PLACE, "an access key id is letters and digits"));
        }
        let token = plan.session_token.as_deref().map_or(Ok(None), text)?;
        if token.as_ref().is_some_and(|token| token.text.bytes().any(|byte| !byte.is_ascii_graphic())) {
            let template = plan.session_token.as_deref().unwrap_or_default();
            return Err(expand::blame(template, PLACE, "a session token has no spaces and no line breaks"));
        }
        let scope = |template: &str, problem| -> Result<String, PermitError> {
            let Some(expanded) = text(template)? else { return Err(expand::blame(template, PLACE, problem)) };
            if expanded.secret {
                let problem = "has a secret in its region or service, which every request shows";
                return Err(PermitError::Plan { place: PLACE.to_owned(), problem });
            }
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            match !expanded.text.is_empty() && expanded.text.bytes().all(legal) {
                true => Ok(expanded.text.to_string()),
                false => Err(expand::blame(template, PLACE, problem)),
            }
        };
        let token = token.map(|token| token.text.to_string());
        Ok(Some(Self {
            identity: Identity::new(id.text.as_str(), key.text.as_str(), token, None, "turnbuckle"),
            region: scope(&plan.region, "a region is a word such as `eu-central-1`")?,
            service: scope(&plan.service, "a service is a word such as `s3`")?,
        }))
    }

    /// Signs a request as it leaves, and gives the signature alone.
    pub(super) fn sign(
        &self,
        method: &Method,
        url: &mut Url,
        headers: &mut HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Zeroizing<String>, EgressError> {
        canonical(url, self.storage());
        let signable = headers.iter().filter(|&(name, value)| signed(name, value)).filter_map(|(name, value)| {
            // What is no plain text is left unsigned; AWS has no word on how it would be spelled.
            Some((name.as_str(), value.to_str().ok()?))
        });
        let problem = "the request cannot be signed for AWS";
        let request = SignableRequest::new(method.as_str(), url.as_str(), signable, SignableBody::Bytes(body));
        let identity = self.identity.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default()))
            .settings(self.settings())
            .build();
        let (Ok(request), Ok(parameters)) = (request, parameters) else {
            return Err(EgressError::attach(problem));
        };
        let parameters = parameters.into();
        // The crate traces what it signs, values of headers among it: here nobody listens.
        let signing = || sign(request, &parameters);
        let Ok(output) = tracing::dispatcher::with_default(&tracing::Dispatch::none(), signing) else {
            return Err(EgressError::attach(problem));
        };
        let (instructions, signature) = output.into_parts();
        for (name, value) in instructions.headers() {
            let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) else {
                return Err(EgressError::attach(problem));
            };
            value.set_sensitive(name == OWN[0] || name == OWN[2]);
            headers.insert(name, value);
        }
        Ok(Zeroizing::new(signature))
    }

    /// S3 and its kin, whose keys are paths: they are signed as they are sent.
    fn storage(&self) -> bool {
        self.service == "s3" || self.service.starts_with("s3-") || self.service == "s3express"
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.storage() {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        // These ask for the hash of the body as a header; to all others it is one header more.
        if self.storage() || matches!(self.service.as_str(), "glacier" | "aoss") {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }
}

fn signed(name: &HeaderName, value: &HeaderValue) -> bool {
    // What another placement attached proves itself; AWS's own headers must all be signed.
    let attached = value.is_sensitive() && !name.as_str().starts_with("x-amz-");
    !attached && !UNSIGNED.contains(name)
}

/// Spells a URL the one way in which it is signed. AWS undoes the encoding and does its own over it, so a `+` or a `(` that
/// is sent as it is would not be what was signed.
fn canonical(url: &mut Url, path: bool) {
    let part = |text: &[u8]| percent_encode(&percent_decode(text).collect::<Vec<u8>>(), RESERVED).to_string();
    if path {
        let segments: Vec<String> = url.path().split('/').map(|segment| part(segment.as_bytes())).collect();
        url.set_path(&segments.join("/"));
    }
    if let Some(query) = url.query() {
        let spaced = |text: &str| part(text.replace('+', " ").as_bytes());
        let pairs: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) => format!("{}={}", spaced(name), spaced(value)),
                None => spaced(pair),
            })
            .collect();
        url.set_query(Some(&pairs.join("&")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;
    use proptest::prelude::*;

    const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";

    fn credentials(service: &str, token: Option<&str>) -> Credentials {
        let plan = Sigv4 {
            region: "{region}".into(),
            service: service.into(),
            access_key_id: "{id}".into(),
            secret_access_key: "{key}".into(),
            session_token: token.map(|_| "{token}".into()),
        };
        let values = Values::new()
            .public("region", "us-east-1")
            .public("id", "AKIDEXAMPLE")
            .secret("key", Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
            .secret("token", Secret::new(token.unwrap_or_default()));
        Credentials::resolve(&plan, &values).unwrap().unwrap()
    }

    struct Signed {
        headers: HeaderMap,
        signature: String,
    }

    fn request(
        credentials: &Credentials,
        method: &str,
        target: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Signed {
        let mut url = format!("https://example.amazonaws.com{target}").parse().unwrap();
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        map.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        map.insert(header::USER_AGENT, HeaderValue::from_static("turnbuckle"));
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        let method = method.parse().unwrap();
        let signature = credentials.sign(&method, &mut url, &mut map, body.as_bytes(), now).unwrap();
        Signed { headers: map, signature: signature.to_string() }
    }

    /// Name, method, target, headers, body, signature.
    type Case =
        (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

    const SUITE: &[Case] = &[
        ("get-vanilla", "GET", "/", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "get-vanilla-query-order-key-case",
            "GET",
            "/?Param2=value2&Param1=value1",
            &[],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-empty-query-key",
            "GET",
            "/?Param1=value1",
            &[],
            "",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            "get-vanilla-query-order-encoded",
            "GET",
            "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            &[],
            "",
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        ),
        (
            "get-vanilla-query-unreserved",
            "GET",
            "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            &[],
            "",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        (
            "get-vanilla-utf8-query",
            "GET",
            "/?ሴ=bar",
            &[],
            "",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        (
            "get-unreserved",
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            &[],
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            "get-slashes-normalized",
            "GET",
            "//example//",
            &[],
            "",
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
        ),
        (
            "get-relative-relative-normalized",
            "GET",
            "/example1/example2/../..",
            &[],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-header-key-duplicate",
            "GET",
            "/",
            &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-trim",
            "GET",
            "/",
            &[("my-header1", " value1"), ("my-header2", "\"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        ("post-vanilla", "POST", "/", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "post-vanilla-query",
            "POST",
            "/?Param1=value1",
            &[],
            "",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "post-header-value-case",
            "POST",
            "/",
            &[("my-header1", "VALUE1")],
            "",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        (
            "post-x-www-form-urlencoded",
            "POST",
            "/",
            &[("content-type", "application/x-www-form-urlencoded")],
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "post-x-www-form-urlencoded-parameters",
            "POST",
            "/",
            &[("content-type", "application/x-www-form-urlencoded; charset=utf8")],
            "Param1=value1",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
        ),
    ];

    #[test]
    fn the_published_test_suite_comes_out() {
        let plain = credentials("service", None);
        for &(name, method, target, headers, body, signature) in SUITE {
            assert_eq!(request(&plain, method, target, headers, body).signature, signature, "{name}");
        }
        let with_token = request(&credentials("service", Some(TOKEN)), "GET", "/", &[], "");
        assert_eq!(with_token.signature, "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8");
    }

    #[test]
    fn a_path_is_encoded_once_more_where_the_service_is_not_s3() {
        // `double-url-encode` of the test suite.
        let plan = Sigv4 {
            region: "us-east-2".into(),
            service: "lambda".into(),
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        };
        let credentials = Credentials::resolve(&plan, &Values::new()).unwrap().unwrap();
        let path =
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations";
        let mut url = format!("https://lambda.us-east-2.amazonaws.com{path}").parse().unwrap();
        let now = "2021-05-11T15:40:45Z".parse().unwrap();
        let signature = credentials.sign(&Method::POST, &mut url, &mut HeaderMap::new(), b"", now).unwrap();
        assert_eq!(signature.as_str(), "4b93abbcc68be32bd64c18e2c71150660ab4c29bbd6c32a383a7517a88fc1804");
        assert_eq!(url.path(), path);
    }

    #[test]
    fn the_header_says_what_was_signed_and_hides_itself() {
        let signed = request(&credentials("service", Some(TOKEN)), "GET", "/", &[("content-type", "a/b")], "");
        let headers = &signed.headers;
        assert_eq!(
            headers[header::AUTHORIZATION],
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature={}",
                signed.signature
            )
        );
        assert_eq!(headers["x-amz-date"], "20150830T123600Z");
        assert_eq!(headers["x-amz-security-token"], TOKEN);
        assert!(headers[header::AUTHORIZATION].is_sensitive() && headers["x-amz-security-token"].is_sensitive());
        assert!(!headers.contains_key("x-amz-content-sha256"));
    }

    #[test]
    fn s3_is_signed_as_it_is_sent_with_the_hash_of_its_body() {
        // The first example of "Signature Calculations: Transferring Payload in a Single Chunk" in the S3 API reference.
        let plan = Sigv4 {
            region: "us-east-1".into(),
            service: "s3".into(),
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: "{key}".into(),
            session_token: None,
        };
        let values = Values::new().secret("key", Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
        let credentials = Credentials::resolve(&plan, &values).unwrap().unwrap();
        let at = |path: &str| format!("https://examplebucket.s3.amazonaws.com{path}").parse::<Url>().unwrap();
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        let sign = |method: Method, path: &str, headers: &[(&'static str, &'static str)], body: &[u8]| {
            let (mut url, mut map) = (at(path), HeaderMap::new());
            for &(name, value) in headers {
                map.insert(name, HeaderValue::from_static(value));
            }
            let signature = credentials.sign(&method, &mut url, &mut map, body, now).unwrap();
            (url.path().to_owned(), map, signature.to_string())
        };
        let (_, headers, signature) = sign(Method::GET, "/test.txt", &[("range", "bytes=0-9")], b"");
        assert_eq!(signature, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        assert_eq!(headers["x-amz-content-sha256"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let put = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let (path, _, signature) = sign(Method::PUT, "/test$file.text", &put, b"Welcome to Amazon S3.");
        assert_eq!(signature, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
        assert_eq!(path, "/test%24file.text");
        let (_, _, signature) = sign(Method::GET, "/?lifecycle", &[], b"");
        assert_eq!(signature, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
        let (_, _, signature) = sign(Method::GET, "/?max-keys=2&prefix=J", &[], b"");
        assert_eq!(signature, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
        // Slashes side by side are part of a key, and so is what looks like a form's space.
        let (path, ..) = sign(Method::GET, "//a+b/(c)/%c3%a9~", &[], b"");
        assert_eq!(path, "//a%2Bb/%28c%29/%C3%A9~");
    }

    #[test]
    fn what_others_attach_is_not_signed_and_what_is_awss_is() {
        let mut headers = HeaderMap::new();
        for name in ["x-api-key", "x-amz-access-token"] {
            let mut value = HeaderValue::from_static("secret");
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let mut url = "https://example.amazonaws.com/".parse().unwrap();
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        credentials("execute-api", None).sign(&Method::GET, &mut url, &mut headers, b"", now).unwrap();
        let value = headers[header::AUTHORIZATION].to_str().unwrap();
        assert!(value.contains("SignedHeaders=host;x-amz-access-token;x-amz-date,"), "{value}");
    }

    #[test]
    fn a_scope_is_words_that_everyone_may_see() {
        let plan = |region: &str, id: &str| Sigv4 {
            region: region.into(),
            service: "s3".into(),
            access_key_id: id.into(),
            secret_access_key: "{key}".into(),
            session_token: Some("{token}".into()),
        };
        let values = Values::new()
            .secret("key", Secret::new("hunter2"))
            .public("region", "eu/../x")
            .public("id", "AK ID")
            .public("token", "a\nb");
        let error = |plan: &Sigv4| Credentials::resolve(plan, &values).err().unwrap();
        assert_eq!(error(&plan("{region}", "AKID")).field(), Some("token"), "the first thing that is wrong");
        assert_eq!(error(&plan("eu", "{id}")).field(), Some("id"));
        let plan = |region: &str| Sigv4 { session_token: None, ..plan(region, "AKID") };
        assert_eq!(error(&plan("{region}")).field(), Some("region"));
        assert_eq!(error(&plan("{missing}")).field(), Some("missing"));
        assert!(matches!(error(&plan("{key}")), PermitError::Plan { .. }));
        assert!(Credentials::resolve(&plan("eu"), &Values::new()).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn one_spelling_is_the_last(path in "(/[ -~é]{0,6}){1,4}", query in "[ -~é]{0,12}") {
            let mut url = Url::parse("https://x.test/").unwrap();
            url.set_path(&path);
            url.set_query(Some(&query));
            canonical(&mut url, true);
            let once = url.clone();
            canonical(&mut url, true);
            prop_assert_eq!(once.as_str(), url.as_str());
            prop_assert!(url.path().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/%-._~".contains(&byte)));
        }
    }
}
