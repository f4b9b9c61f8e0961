use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response, StatusCode};

use super::super::{AllowList, Call, Config, Denied, Egress, EgressError, Limits, Resolver, Rule, Timeouts};
use super::upstream::{Upstream, bearer, body, call, call_with, get, open, parameter, permit, send, text};
use crate::model::authentication::Placement;

fn rule(result: Result<Response<super::super::Body>, EgressError>) -> Rule {
    match result {
        Err(EgressError::Denied(Denied { rule, .. })) => rule,
        other => panic!("not denied: {:?}", other.map(|response| response.status())),
    }
}

/// Answers the same addresses for every name, and counts how often it is asked.
fn resolver(addresses: &[&str]) -> (Resolver, Arc<AtomicUsize>) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let resolver: Resolver = Arc::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    });
    (resolver, asked)
}

fn named(allow: &[&str], resolver: Resolver) -> Egress {
    let allow = AllowList::new(allow.iter().map(|entry| entry.parse().unwrap()).collect());
    Egress::with_resolver(Config { allow, ..Config::default() }, resolver).unwrap()
}

#[tokio::test]
async fn each_rule_refuses_before_anything_is_sent() {
    let (resolver, asked) = resolver(&["127.0.0.1"]);
    let egress = named(&[], resolver);
    let permit = permit(
        "https://api.example.com",
        vec![
            Placement::Header(parameter("x-key", "{token}")),
            Placement::Query(parameter("key", "{token}")),
            Placement::Cookie(parameter("sid", "{user}")),
        ],
    );
    let at = |url: &str| Request::get(url).body(body("")).unwrap();
    let with =
        |name: &str, value: &str| Request::get("https://api.example.com/").header(name, value).body(body("")).unwrap();
    let method = |name: &str| Request::builder().method(name).uri("https://api.example.com/").body(body("")).unwrap();
    let mut cases = vec![
        (Rule::Method, method("TRACE")),
        (Rule::Method, method("CONNECT")),
        (Rule::Method, method("get")),
        (Rule::UserInfo, at("https://a@api.example.com/")),
        (Rule::UserInfo, at("https://api.example.com@evil.example/")),
        (Rule::Port, at("https://api.example.com:0/")),
        (Rule::Scheme, at("ftp://api.example.com/")),
        (Rule::Url, at("/only/a/path")),
        (Rule::Origin, at("https://api.example.com.evil.example/")),
        (Rule::Origin, at("https://api.example.com:8443/")),
        (Rule::Origin, at("https://example.com/")),
        (Rule::Origin, at("http://api.example.com/")),
        (Rule::Owned, with("X-Key", "mine")),
        (Rule::Owned, with("cookie", "a=b;SID=mine")),
        (Rule::Owned, at("https://api.example.com/?a=b&k%65y=mine")),
        (Rule::Owned, at("https://api.example.com/?a=b;KEY")),
    ];
    for name in [
        "host",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "forwarded",
        "x-forwarded-for",
        "proxy-authorization",
        "proxy-connection",
        "proxy-x",
        "http2-settings",
    ] {
        cases.push((Rule::Header, with(name, "x")));
    }
    for (expected, request) in cases {
        let shown = format!("{request:?}");
        assert_eq!(rule(send(&egress, &permit, request).await), expected, "{shown}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "no name is looked up for a request that may not leave");
}

#[tokio::test]
async fn every_spelling_of_a_private_address_is_refused() {
    let egress = open(&[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "169.254.169.254",
        "10.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "[::]",
    ] {
        let origin = format!("https://{host}");
        let denied = match send(&egress, &bearer(&origin), get(&format!("{origin}/latest"))).await {
            Err(EgressError::Denied(denied)) => denied,
            other => panic!("{host}: {:?}", other.map(|response| response.status())),
        };
        assert_eq!(denied.rule, Rule::Address, "{host}");
    }
}

#[tokio::test]
async fn a_refusal_says_the_rule_and_what_would_open_it() {
    let egress = open(&[]);
    let url = "http://127.0.0.1:5000/v2/?token=hush";
    let call = call();
    let permit = bearer("http://127.0.0.1:5000");
    let error = egress.send(&permit, &call, get(url), Timeouts::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "request to http://127.0.0.1:5000 denied by the address rule: 127.0.0.1 is a loopback address; to open it, the \
         operator can add \"http://127.0.0.1:5000\" to allow in [egress] of turnbuckle.toml"
    );
    let error = send(&egress, &bearer("http://api.example.com"), get("http://api.example.com")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "request to http://api.example.com denied by the scheme rule: plain http leaves only to origins that the operator \
         opened; to open it, the operator can add \"http://api.example.com\" to allow in [egress] of turnbuckle.toml"
    );
    let error = send(&egress, &permit, get("https://evil.example/?hush")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "request to https://evil.example denied by the origin rule: this connection may reach only http://127.0.0.1:5000"
    );
    assert_eq!(call.denials().len(), 1);
    let [exchange] = &call.exchanges()[..] else { panic!("one exchange") };
    assert_eq!((exchange.path.as_str(), exchange.status), ("/v2/", None));
    assert_eq!(exchange.origin.as_ref().unwrap().to_string(), "http://127.0.0.1:5000");
    assert!(exchange.error.as_deref().unwrap().starts_with("request to http://127.0.0.1:5000 denied"));
}

#[tokio::test]
async fn private_address_behind_a_public_name_is_refused() {
    for addresses in [
        &["127.0.0.1"][..],
        &["93.184.216.34", "10.0.0.1"],
        &["::ffff:169.254.169.254"],
        &["fd00::1", "2606:4700::1111"],
    ] {
        let (resolver, asked) = resolver(addresses);
        let egress = named(&["10.9.0.0/16"], resolver);
        let error =
            send(&egress, &bearer("https://api.example.com"), get("https://api.example.com/x")).await.unwrap_err();
        let EgressError::Denied(denied) = &error else { panic!("{addresses:?}: {error}") };
        assert_eq!((denied.rule, denied.target.as_str()), (Rule::Address, "https://api.example.com"), "{addresses:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_name_on_loopback_is_reached_where_its_network_or_origin_was_opened() {
    let upstream = Upstream::start(|_| text("ok")).await;
    let origin = format!("http://registry.example:{}", upstream.address.port());
    for allow in ["127.0.0.0/8", &origin] {
        let (resolver, _) = resolver(&["127.0.0.1"]);
        let egress = named(&[allow], resolver);
        assert_eq!(send(&egress, &bearer(&origin), get(&origin)).await.unwrap().status(), StatusCode::OK, "{allow}");
    }
    // Plain http to a public address: the operator opened a network, and this is not in it.
    let (resolver, _) = resolver(&["93.184.216.34"]);
    let egress = named(&["127.0.0.0/8"], resolver);
    assert_eq!(rule(send(&egress, &bearer(&origin), get(&origin)).await), Rule::Address);
    // An opened origin opens its own port alone.
    let (resolver, _) = resolver_of_loopback();
    let egress = named(&[&origin], resolver);
    let other = "https://registry.example:1";
    assert_eq!(rule(send(&egress, &bearer(other), get(other)).await), Rule::Address);
    assert_eq!(upstream.seen().len(), 2);
}

fn resolver_of_loopback() -> (Resolver, Arc<AtomicUsize>) {
    resolver(&["127.0.0.1"])
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let other = Upstream::start(|_| text("never")).await;
    let target = format!("{}/stolen", other.origin());
    let upstream = Upstream::start(move |_| {
        let mut answer = text("");
        *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        answer.headers_mut().insert("location", target.parse().unwrap());
        answer
    })
    .await;
    let origin = upstream.origin();
    let egress = open(&[&origin, &other.origin()]);
    let response = send(&egress, &bearer(&origin), get(&origin)).await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(
        rule(send(&egress, &bearer(&origin), get(response.headers()["location"].to_str().unwrap())).await),
        Rule::Origin
    );
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn a_call_ends_with_its_requests() {
    let upstream = Upstream::start(|_| text("ok")).await;
    let origin = upstream.origin();
    let (egress, permit) = (open(&[&origin]), bearer(&origin));
    let call: Arc<Call> = call_with(Limits { requests_per_call: 2, ..Limits::default() });
    for expected in [true, true, false, false] {
        let result = egress.send(&permit, &call, get(&origin), Timeouts::default()).await;
        assert_eq!(result.is_ok(), expected);
    }
    assert_eq!(upstream.seen().len(), 2);
    let errors: Vec<_> = call.exchanges().into_iter().map(|exchange| exchange.error).collect();
    assert_eq!(errors, [None, None, Some("the limit on requests per call, 2, is used up".to_owned())]);
}

#[tokio::test]
async fn headers_beyond_their_limit_are_refused_in_both_directions() {
    let upstream = Upstream::start(|_| {
        let mut answer = text("ok");
        answer.headers_mut().insert("x-long", "y".repeat(70_000).parse().unwrap());
        answer
    })
    .await;
    let origin = upstream.origin();
    let (egress, permit) = (open(&[&origin]), bearer(&origin));
    let too_many = EgressError::Budget { limit: "bytes of headers", value: 65_536 };
    let long = Request::get(&origin).header("x-long", "y".repeat(65_536)).body(body("")).unwrap();
    assert_eq!(send(&egress, &permit, long).await.unwrap_err(), too_many);
    assert_eq!(upstream.seen().len(), 0);
    assert_eq!(send(&egress, &permit, get(&origin)).await.unwrap_err(), too_many);
}

#[tokio::test]
async fn nobody_listening_is_said_in_plain_words() {
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let origin = format!("http://127.0.0.1:{port}");
    let error = send(&open(&[&origin]), &bearer(&origin), get(&format!("{origin}/?hush"))).await.unwrap_err();
    let EgressError::Connect { origin: shown, reason } = &error else { panic!("{error:?}") };
    assert_eq!(*shown, origin);
    assert!(reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn a_name_without_address_is_said_to_have_none() {
    let (resolver, _) = resolver(&[]);
    let error =
        send(&named(&[], resolver), &bearer("https://gone.example"), get("https://gone.example")).await.unwrap_err();
    assert_eq!(error.to_string(), "the name gone.example could not be resolved: it has no address");
}
