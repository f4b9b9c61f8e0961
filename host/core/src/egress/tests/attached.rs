use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};

use super::super::attach::Part;
use super::super::{EgressError, Permit, Timeouts, Values};
use super::upstream::{SECRET, Upstream, bearer, body, call, get, open, parameter, permit, read, send, text};
use crate::model::authentication::{Authentication, Basic, Placement};
use crate::model::outside::Outside;
use crate::model::secret::Secret;

fn echo_nothing(_: &super::upstream::Seen) -> super::upstream::Answer {
    text("ok")
}

#[tokio::test]
async fn each_placement_puts_the_credential_where_it_says() {
    let upstream = Upstream::start(echo_nothing).await;
    let origin = upstream.origin();
    let egress = open(&[&origin]);
    let permit = permit(
        &origin,
        vec![
            Placement::Header(parameter("x-api-key", "{token}")),
            Placement::Header(parameter("x-request", "{uuid}")),
            Placement::Header(parameter("x-left-out", "{missing}")),
            Placement::Query(parameter("api key", "k {token}")),
            Placement::Cookie(parameter("sid", "{user}")),
            Placement::PathPrefix("/bot{token}/".into()),
            Placement::Basic(Basic { username: "{user}".into(), password: "{token}".into() }),
        ],
    );
    for _ in 0..2 {
        let request =
            Request::get(format!("{origin}/a/b?c=d#e")).header("cookie", "theme=dark").body(body("")).unwrap();
        assert_eq!(read(send(&egress, &permit, request).await.unwrap()).await.unwrap(), "ok");
    }
    let seen = upstream.seen();
    assert_eq!(seen[0].line, "GET /botsk_test%2F51+Hx=&%C3%A9/a/b?c=d&api%20key=k%20sk_test%2F51%2BHx%3D%26%C3%A9");
    assert_eq!(seen[0].header("x-api-key"), Some(SECRET));
    assert_eq!(seen[0].header("x-left-out"), None);
    assert_eq!(seen[0].header("cookie"), Some("theme=dark; sid=ada"));
    assert_eq!(seen[0].header("authorization"), Some("Basic YWRhOnNrX3Rlc3QvNTErSHg9JsOp"));
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(seen[0].header("user-agent"), Some("turnbuckle"));
    assert_ne!(seen[0].header("x-request"), seen[1].header("x-request"));
    assert_eq!(upstream.connections(), 1, "one connection's requests share a socket");
}

#[test]
fn the_vector_of_rfc_7617_comes_out() {
    let plan = |username: &str| Authentication {
        placements: vec![Placement::Basic(Basic { username: username.into(), password: "{password}".into() })],
        ..Authentication::default()
    };
    let values = Values::new().secret("password", Secret::new("open sesame")).public("colon", "a:b");
    let permit = Permit::resolve("one".into(), &[], &plan("Aladdin"), &values, &Outside::system()).unwrap();
    let (mut url, mut headers) = (url::Url::parse("https://x.test/").unwrap(), http::HeaderMap::new());
    permit.attachments.head(&mut url, &mut headers, "", Part::All).unwrap();
    assert_eq!(headers[header::AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(headers[header::AUTHORIZATION].is_sensitive());
    let error = Permit::resolve("one".into(), &[], &plan("{colon}"), &values, &Outside::system()).unwrap_err();
    assert_eq!(error.field(), Some("colon"));
}

#[tokio::test]
async fn bodies_take_form_fields_and_json_members() {
    let upstream = Upstream::start(echo_nothing).await;
    let origin = upstream.origin();
    let egress = open(&[&origin]);
    let post =
        |kind: &str, content: &str| Request::post(&origin).header("content-type", kind).body(body(content)).unwrap();
    let form = permit(&origin, vec![Placement::Body(parameter("key", "{token}"))]);
    send(&egress, &form, post("application/x-www-form-urlencoded", "a=b")).await.unwrap();
    send(&egress, &form, Request::post(&origin).body(body("")).unwrap()).await.unwrap();
    let json = permit(&origin, vec![Placement::Body(parameter("/auth/key", "{token}"))]);
    send(&egress, &json, post("application/json; charset=utf-8", "{\"z\":1,\"a\":2}")).await.unwrap();
    let bodies: Vec<String> = upstream.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(
        bodies,
        [
            "a=b&key=sk_test%2F51%2BHx%3D%26%C3%A9",
            "key=sk_test%2F51%2BHx%3D%26%C3%A9",
            "{\"z\":1,\"a\":2,\"auth\":{\"key\":\"sk_test/51+Hx=&é\"}}",
        ]
    );
    for (permit, kind, content) in [
        (&form, "application/json", "{}"),
        (&form, "application/x-www-form-urlencoded", "k%65y=mine"),
        (&json, "application/json", "{\"auth\":{\"key\":\"mine\"}}"),
        (&json, "application/json", "{\"auth\":7}"),
        (&json, "application/json", "not json"),
        (&json, "text/plain", "{}"),
    ] {
        let error = send(&egress, permit, post(kind, content)).await.unwrap_err();
        assert!(matches!(error, EgressError::Attach { .. }), "{kind} {content}: {error}");
    }
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test]
async fn a_streamed_body_is_counted_and_must_be_as_long_as_announced() {
    let upstream = Upstream::start(echo_nothing).await;
    let origin = upstream.origin();
    let (egress, permit) = (open(&[&origin]), bearer(&origin));
    let stream = |sizes: &'static [usize]| {
        let pieces = sizes.iter().map(|&size| Ok(http_body::Frame::data(bytes::Bytes::from(vec![b'x'; size]))));
        http_body_util::StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync()
    };
    let call = call();
    let post = |length: Option<&str>, sizes| {
        let mut request = Request::post(&origin);
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        egress.send(&permit, &call, request.body(stream(sizes)).unwrap(), Timeouts::default())
    };
    post(None, &[10, 20]).await.unwrap();
    post(None, &[60_000, 60_000]).await.unwrap();
    post(Some("30"), &[10, 20]).await.unwrap();
    for (length, sizes) in [("31", &[10, 20][..]), ("29", &[10, 20]), ("0", &[1])] {
        let error = post(Some(length), sizes).await.unwrap_err();
        assert_eq!(
            error,
            EgressError::RequestBody { problem: "is not as long as its content-length says" },
            "{length}"
        );
    }
    let error = post(None, &[8 << 20, 1]).await.unwrap_err();
    assert_eq!(error, EgressError::Budget { limit: "bytes of a request's body", value: 8 << 20 });
    let seen = upstream.seen();
    assert_eq!(seen[0].header("content-length"), Some("30"));
    assert_eq!(seen[1].header("transfer-encoding"), Some("chunked"));
    assert_eq!(seen[1].body.len(), 120_000);
    assert_eq!(seen[2].header("content-length"), Some("30"));
    let sent: Vec<u64> = call.exchanges().iter().map(|exchange| exchange.sent).take(3).collect();
    assert_eq!(sent, [30, 120_000, 30]);
}

#[tokio::test]
async fn a_digest_challenge_is_answered_and_remembered() {
    // Two nonces: the first grows old after two uses.
    let upstream = Upstream::start(|seen| {
        let challenge = |nonce: &str, stale: bool| {
            let value =
                format!("Digest realm=\"r\", qop=\"auth\", algorithm=SHA-256, nonce=\"{nonce}\", stale={stale}");
            let mut refusal = Response::new(Full::new("no".into()).boxed_unsync());
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, value.parse().unwrap());
            refusal
        };
        match seen.header("authorization") {
            None => challenge("first", false),
            Some(value) if value.contains("nonce=\"first\"") && value.contains("nc=00000003") => {
                challenge("second", true)
            }
            Some(_) => text("in"),
        }
    })
    .await;
    let origin = upstream.origin();
    let egress = open(&[&origin]);
    let digest = Placement::Digest(Basic { username: "{user}".into(), password: "{token}".into() });
    let permit = permit(&origin, vec![digest]);
    for _ in 0..4 {
        let request = Request::post(format!("{origin}/x?y=1")).body(body("again")).unwrap();
        assert_eq!(read(send(&egress, &permit, request).await.unwrap()).await.unwrap(), "in");
    }
    let uses: Vec<String> = upstream
        .seen()
        .iter()
        .map(|seen| {
            assert_eq!((seen.line.as_str(), seen.body.as_str()), ("POST /x?y=1", "again"));
            let value = seen.header("authorization").unwrap_or("none");
            let part =
                |name: &str| value.split(", ").find_map(|part| part.strip_prefix(name)).unwrap_or_default().to_owned();
            format!("{} {}", part("nonce="), part("nc="))
        })
        .collect();
    assert_eq!(
        uses,
        [
            " ",
            "\"first\" 00000001",
            "\"first\" 00000002",
            "\"first\" 00000003",
            "\"second\" 00000001",
            "\"second\" 00000002"
        ]
    );
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_wrong_digest_password_is_tried_once() {
    let upstream = Upstream::start(|_| {
        let mut refusal = text("no");
        *refusal.status_mut() = StatusCode::UNAUTHORIZED;
        refusal
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"".parse().unwrap());
        refusal
    })
    .await;
    let origin = upstream.origin();
    let egress = open(&[&origin]);
    let digest = Placement::Digest(Basic { username: "{user}".into(), password: "{token}".into() });
    let permit = permit(&origin, vec![digest]);
    assert_eq!(send(&egress, &permit, get(&origin)).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn connections_never_share_a_socket() {
    let upstream = Upstream::start(echo_nothing).await;
    let origin = upstream.origin();
    let egress = open(&[&origin]);
    let plan = Authentication::default();
    let permit = |key: &str| {
        std::sync::Arc::new(
            Permit::resolve(key.into(), std::slice::from_ref(&origin), &plan, &Values::new(), &Outside::system())
                .unwrap(),
        )
    };
    let (one, two) = (permit("one"), permit("two"));
    for permit in [&one, &two, &one, &two, &permit("one")] {
        read(send(&egress, permit, get(&origin)).await.unwrap()).await.unwrap();
    }
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_value_that_would_break_a_header_names_its_field() {
    let plan = Authentication {
        placements: vec![Placement::Header(parameter("x-key", "k {token}"))],
        ..Authentication::default()
    };
    for bad in ["a\r\nx: y", "a\nb", "a\0b"] {
        let values = Values::new().secret("token", Secret::new(bad));
        let error = Permit::resolve("one".into(), &[], &plan, &values, &Outside::system()).unwrap_err();
        assert_eq!(error.field(), Some("token"));
        assert!(!error.to_string().contains(bad));
    }
}
