//! Proofs made of a whole request, on their way out and on their way back.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;

use super::super::{
    Call, EgressError, Hash, Limits, Permit, PermitError, SignFailure, SignRequest, Signer, Timeouts, Values,
};
use super::upstream::{SECRET, Upstream, body, call, get, open, parameter, read, send, text};
use crate::model::authentication::{
    Authentication, Basic, Derivation, Derived, Encoding, Jwt, Oauth1, Oauth1Signature, Placement, Sigv4,
};
use crate::model::outside::Outside;
use crate::model::secret::Secret;

const NOW: i64 = 1_700_000_000;

fn outside() -> Outside {
    Outside::new(|| Timestamp::from_second(NOW).unwrap(), |bytes| bytes.fill(7))
}

fn resolve(origin: &str, plan: &Authentication) -> Result<Permit, PermitError> {
    let values = Values::new().secret("token", Secret::new(SECRET)).public("user", "ada");
    Permit::resolve("one".into(), &[origin.to_owned()], plan, &values, &outside())
}

fn placed(origin: &str, placements: Vec<Placement>) -> Result<Permit, PermitError> {
    resolve(origin, &Authentication { placements, ..Authentication::default() })
}

fn oauth1() -> Placement {
    Placement::Oauth1(Oauth1 {
        signature: Oauth1Signature::HmacSha256,
        consumer_key: "{user}".into(),
        consumer_secret: "{token}".into(),
        token: None,
        token_secret: None,
        parameters: vec![parameter("realm", "1234")],
    })
}

fn sigv4(service: &str) -> Placement {
    Placement::AwsSigv4(Sigv4 {
        region: "eu-central-1".into(),
        service: service.into(),
        access_key_id: "{user}".into(),
        secret_access_key: "{token}".into(),
        session_token: None,
    })
}

fn echo(seen: &super::upstream::Seen) -> super::upstream::Answer {
    let authorization = seen.header("authorization").or(seen.header("x-signature")).unwrap_or("none").to_owned();
    let mut answer = text(format!("you sent {authorization}"));
    answer.headers_mut().insert("x-you-sent", authorization.parse().unwrap());
    let part = authorization.rsplit('=').next().unwrap_or_default();
    answer.headers_mut().insert("x-in-part", format!("<{part}>").parse().unwrap());
    answer
}

#[tokio::test]
async fn what_proved_a_request_does_not_come_back() {
    let upstream = Upstream::start(echo).await;
    let origin = upstream.origin();
    let egress = open(&[&origin]);
    for (placement, begins) in [
        (oauth1(), "OAuth realm=\"1234\", oauth_consumer_key=\"ada\", oauth_signature_method=\"HMAC-SHA256\", "),
        (sigv4("s3"), "AWS4-HMAC-SHA256 Credential=ada/20231114/eu-central-1/s3/aws4_request, SignedHeaders="),
    ] {
        let permit = Arc::new(placed(&origin, vec![placement]).unwrap());
        let call = call();
        let response = egress.send(&permit, &call, get(&origin), Timeouts::default()).await.unwrap();
        let sent = upstream.seen().last().unwrap().header("authorization").unwrap().to_owned();
        assert!(sent.starts_with(begins), "{sent}");
        let header = response.headers()["x-you-sent"].to_str().unwrap().to_owned();
        let shown = read(response).await.unwrap();
        assert!(shown.starts_with(&format!("you sent {begins}")), "{shown}");
        assert!(shown.contains("ignature=[redacted]") || shown.contains("ignature=\"[redacted]\""), "{shown}");
        assert_eq!(shown, format!("you sent {header}"));
        assert!(call.exchanges()[0].redacted);
    }
}

#[tokio::test]
async fn a_form_is_signed_as_it_leaves_and_another_body_may_stream() {
    let upstream = Upstream::start(|_| text("ok")).await;
    let origin = upstream.origin();
    let egress = open(&[&origin]);
    let permit = Arc::new(placed(&origin, vec![oauth1(), Placement::Body(parameter("extra", "{user}"))]).unwrap());
    let form = |content: &str| {
        Request::post(&origin).header("content-type", "application/x-www-form-urlencoded").body(body(content)).unwrap()
    };
    send(&egress, &permit, form("a=b")).await.unwrap();
    let streaming = Arc::new(placed(&origin, vec![oauth1()]).unwrap());
    send(&egress, &streaming, form("a=b&extra=ada")).await.unwrap();
    let pieces = [60_000, 60_000].map(|size| Ok(http_body::Frame::data(Bytes::from(vec![b'x'; size]))));
    let long = http_body_util::StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync();
    send(&egress, &streaming, Request::post(&origin).body(long).unwrap()).await.unwrap();
    let seen = upstream.seen();
    assert_eq!(seen[0].body, "a=b&extra=ada");
    assert_eq!(seen[0].header("authorization"), seen[1].header("authorization"), "one body, one signature");
    assert_eq!(seen[2].header("transfer-encoding"), Some("chunked"));
    let error = send(&egress, &streaming, form("oauth_nonce=mine")).await.unwrap_err();
    assert!(matches!(error, EgressError::Attach { .. }), "{error}");
    let mut own = get(&origin);
    own.headers_mut().insert(header::AUTHORIZATION, "mine".parse().unwrap());
    assert!(matches!(send(&egress, &streaming, own).await.unwrap_err(), EgressError::Denied(_)));
}

#[tokio::test]
async fn s3_is_told_the_hash_of_the_body_and_reads_one_spelling_of_its_key() {
    let upstream = Upstream::start(|_| text("ok")).await;
    let origin = upstream.origin();
    let permit = Arc::new(placed(&origin, vec![sigv4("s3")]).unwrap());
    let request = Request::put(format!("{origin}/bucket/a+b(1)%2fc?x-id=Put+Object")).body(body("content")).unwrap();
    send(&open(&[&origin]), &permit, request).await.unwrap();
    let [seen] = &upstream.seen()[..] else { panic!("one request") };
    assert_eq!(seen.line, "PUT /bucket/a%2Bb%281%29%2Fc?x-id=Put%20Object");
    assert_eq!(
        seen.header("x-amz-content-sha256"),
        Some("ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73")
    );
    assert_eq!(seen.header("x-amz-date"), Some("20231114T221320Z"));
}

/// Signs with what a test says, and keeps what it was asked.
fn signer(answer: Vec<(&'static str, &'static str)>) -> (Signer, Arc<Mutex<Vec<SignRequest>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let signer: Signer = Arc::new(move |request, keys| {
        log.lock().unwrap().push(request);
        let key = keys.open("{token}", Encoding::Text).unwrap();
        let mac = hex::encode(key.mac(Hash::Sha256, b"message"));
        let answer = answer.iter().map(|&(name, value)| (name.to_owned(), value.replace("MAC", &mac))).collect();
        Box::pin(async move { Ok(answer) })
    });
    (signer, asked)
}

#[tokio::test]
async fn a_connectors_own_signature_leaves_and_stays_nowhere() {
    let upstream = Upstream::start(echo).await;
    let origin = upstream.origin();
    let placements = vec![
        Placement::Signed,
        Placement::Header(parameter("x-key", "{token}")),
        Placement::Header(parameter("x-version", "{user}")),
        Placement::Query(parameter("key", "{token}")),
        Placement::Query(parameter("who", "{user}")),
        Placement::Cookie(parameter("sid", "{user}")),
        Placement::PathPrefix("/v1".into()),
    ];
    let (signer, asked) = signer(vec![("X-Signature", "v1=MAC"), ("x-time", "17")]);
    let permit = placed(&origin, placements).unwrap();
    assert!(permit.needs_signer());
    let permit = Arc::new(permit.with_signer(signer));
    let request = Request::post(format!("{origin}/a?b=c")).header("x-own", "mine").body(body("content")).unwrap();
    let response = send(&open(&[&origin]), &permit, request).await.unwrap();
    let [seen] = &upstream.seen()[..] else { panic!("one request") };
    assert!(seen.header("x-signature").unwrap().starts_with("v1="));
    assert_eq!(response.headers()["x-you-sent"], "[redacted]");
    assert_eq!(response.headers()["x-in-part"], "<[redacted]>");
    assert_eq!(read(response).await.unwrap(), "you sent [redacted]");
    assert_eq!(seen.header("x-time"), Some("17"));
    assert_eq!(seen.header("x-key"), Some(SECRET));
    let [asked] = &asked.lock().unwrap()[..] else { panic!("one signature") };
    let headers: Vec<_> = asked.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(
        headers,
        ["x-own: mine", "x-version: ada", "cookie: sid=ada", "accept-encoding: identity", "user-agent: turnbuckle"]
    );
    assert_eq!((asked.method.as_str(), asked.timestamp), ("POST", 1_700_000_000));
    assert_eq!(asked.url, format!("{origin}/v1/a?b=c&who=ada"));
    assert_eq!(hex::encode(asked.body_sha256), "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73");
}

#[tokio::test]
async fn what_a_signer_may_not_write_is_refused_before_anything_leaves() {
    let upstream = Upstream::start(|_| text("ok")).await;
    let origin = upstream.origin();
    let egress = open(&[&origin]);
    let many: Vec<(&str, &str)> = vec![("x-a", "b"); 33];
    for answer in [
        vec![],
        many,
        vec![("x y", "b")],
        vec![("x-a", "b\r\nx-c: d")],
        vec![("x-a", "b\0")],
        vec![("Host", "evil.example")],
        vec![("content-length", "7")],
        vec![("Transfer-Encoding", "chunked")],
        vec![("cookie", "a=b")],
        vec![("x-forwarded-for", "1.1.1.1")],
        vec![("X-Key", "mine")],
        vec![("user-agent", "mine")],
        vec![("x-a", "b"), ("X-A", "c")],
    ] {
        let shown = format!("{answer:?}");
        let permit =
            placed(&origin, vec![Placement::Signed, Placement::Header(parameter("x-key", "{token}"))]).unwrap();
        let permit = Arc::new(permit.with_signer(signer(answer).0));
        let error = send(&egress, &permit, get(&origin)).await.unwrap_err();
        assert!(matches!(error, EgressError::Attach { .. }), "{shown}: {error}");
    }
    let unsigned = Arc::new(placed(&origin, vec![Placement::Signed]).unwrap());
    let error = send(&egress, &unsigned, get(&origin)).await.unwrap_err();
    assert!(error.to_string().contains("it exports no `signer`"), "{error}");
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_signer_that_fails_speaks_to_people_and_not_to_the_guest() {
    let failing: Signer =
        Arc::new(|_, _| Box::pin(async { Err(SignFailure { message: format!("the key {SECRET} does not open") }) }));
    let permit = Arc::new(placed("https://x.test", vec![Placement::Signed]).unwrap().with_signer(failing));
    let call = call();
    let error = open(&[]).send(&permit, &call, get("https://x.test/"), Timeouts::default()).await.unwrap_err();
    let words = "the credential cannot be attached: the connector's signer says: the key [redacted] does not open";
    assert_eq!(error.to_string(), words);
    assert_eq!(error.for_guest(), "the request could not be signed");
    assert_eq!(call.exchanges()[0].error.as_deref(), Some(words));

    let slow: Signer = Arc::new(|_, _| Box::pin(std::future::pending()));
    let permit = Arc::new(placed("https://x.test", vec![Placement::Signed]).unwrap().with_signer(slow));
    let call = Arc::new(Call::new(Limits::default(), std::time::Duration::from_millis(50)));
    let error = open(&[]).send(&permit, &call, get("https://x.test/"), Timeouts::default()).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { .. }), "{error}");
}

#[test]
fn two_proofs_never_meet_and_a_signer_sees_no_hash_of_a_secret() {
    let digest = || Placement::Digest(Basic { username: "{user}".into(), password: "{token}".into() });
    for placements in [
        vec![digest(), Placement::Signed],
        vec![Placement::Signed, Placement::Signed],
        vec![oauth1(), sigv4("s3")],
        vec![sigv4("s3"), digest()],
        vec![sigv4("s3"), Placement::Header(parameter("x-amz-date", "x"))],
        vec![Placement::Header(parameter("authorization", "x")), oauth1()],
        vec![Placement::Body(parameter("pin", "{token}")), Placement::Signed],
    ] {
        let error = placed("https://x.test", placements).unwrap_err();
        assert!(matches!(error, PermitError::Plan { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_derived_token_is_attached_taken_out_of_answers_and_ends_the_permit() {
    let upstream = Upstream::start(echo).await;
    let origin = upstream.origin();
    let jwt = |name: &str, lifetime_seconds| Derived {
        name: name.into(),
        value: Derivation::Jwt(Jwt {
            algorithm: crate::model::authentication::Algorithm::Hs256,
            key: "{token}".into(),
            key_encoding: Encoding::Text,
            header: "{{}}".into(),
            claims: r#"{{"iss":"{user}"}}"#.into(),
            lifetime_seconds,
        }),
    };
    let plan = Authentication {
        derived: vec![jwt("long", 600), jwt("short", 120)],
        placements: vec![
            Placement::Header(parameter("authorization", "Bearer {long}")),
            Placement::Header(parameter("x-short", "{short}")),
        ],
        ..Authentication::default()
    };
    let permit = Arc::new(resolve(&origin, &plan).unwrap());
    assert_eq!(permit.valid_until().map(Timestamp::as_second), Some(NOW + 90));
    assert_eq!(placed(&origin, vec![]).unwrap().valid_until(), None);
    let response = send(&open(&[&origin]), &permit, get(&origin)).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "you sent Bearer [redacted]");
    let sent = upstream.seen()[0].header("authorization").unwrap().to_owned();
    assert!(sent.starts_with("Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhZGEi"), "{sent}");
}
