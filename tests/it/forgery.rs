//! Server-side request forgery by spellings of addresses: in an internet of the test's own, where a canary stands on every
//! address there is, and the server under attack is the real one.
//!
//! What may be dialled is tested both ways. A closed server dials none of them; an open one dials each exactly where it points,
//! so a spelling that the policy reads otherwise than the client that dials would be seen.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use turnbuckle_tests::api::{Answer, Api};
use turnbuckle_tests::components;
use turnbuckle_tests::names::Names;
use turnbuckle_tests::world::{Serving, World};

use crate::netns::{Canary, Service, in_own_internet};
use crate::scene::{BINARY, TOKEN, install, wrong_fields};
use crate::spellings::{self, Spelling, is_forbidden};

/// Where [`PUBLIC`] is.
pub(crate) const PUBLIC_AT: &str = "93.184.216.34";
/// A name of the public internet, behind which a service answers.
pub(crate) const PUBLIC: &str = "public.example";

/// A server in the internet of a test, and what it could reach there.
pub(crate) struct Range {
    // Dropped in this order: who asks ends before who answers.
    pub(crate) _server: Serving,
    pub(crate) api: Api,
    pub(crate) _world: World,
    pub(crate) canary: Canary,
    pub(crate) names: Names,
}

/// How an attempt ended that may dial something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A field does not take the value.
    Field(String),
    /// A rule of the policy refused the request.
    Denied { rule: String, words: String },
    /// It failed otherwise.
    Failed(String),
    /// The service answered well.
    Passed,
}

impl Range {
    /// With an operator who opened these networks. The service answers on every address, for these names by TLS that is in
    /// order.
    pub(crate) fn new(
        canary: Canary,
        names: Names,
        allow: &[&str],
        known: &[&str],
        answer: impl Fn(SocketAddr, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        names.at(PUBLIC, &[PUBLIC_AT]);
        let (tls, authority) = certified(known);
        canary.answer(Service { tls, answer: Box::new(answer) });
        let world = World::new(BINARY);
        let authority = world.file("authority.pem", authority);
        world.configure(&format!("[egress]\nallow = {allow:?}\nca-file = {authority:?}\n[health]\nenabled = false\n"));
        let server = world.serve();
        let api = server.api();
        install(&api, "http");
        Self { _server: server, api, _world: world, canary, names }
    }

    /// Makes a connection to this origin, which is tested at once.
    pub(crate) fn attempt(&self, name: &str, origin: &str) -> Ended {
        let settings = json!({"url": origin});
        self.attempt_with(name, "bearer", &settings, &json!({"token": TOKEN}), "url")
    }

    /// With these settings, of which one is under attack.
    pub(crate) fn attempt_with(
        &self,
        name: &str,
        protocol: &str,
        settings: &Value,
        secrets: &Value,
        attacked: &str,
    ) -> Ended {
        let new = json!({
            "name": name, "connector": "http", "protocol": protocol, "settings": settings, "secrets": secrets,
        });
        let answer = self.api.post("/connections", &new);
        match answer.status.as_u16() {
            201 => ended(&answer.json()),
            422 => {
                let problem = answer.json();
                assert_eq!(wrong_fields(&problem), [attacked], "{settings}: {problem:#}");
                Ended::Field(problem["problems"][0]["message"].as_str().unwrap().to_owned())
            }
            _ => panic!("{settings}: {} {}", answer.status, answer.text()),
        }
    }

    /// Tests a connection once more.
    pub(crate) fn test(&self, name: &str) -> Ended {
        ended(&self.api.post(&format!("/connections/{name}/test"), &json!({})).ended(200).json())
    }

    /// Sends a request through a connection.
    pub(crate) fn send(&self, name: &str, url: &str) -> Answer {
        let encoded: String = url.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.api.call(Method::GET, &format!("/connections/{name}/send?url={encoded}"), &[], Bytes::new())
    }
}

/// What a view says of the test that was made for it.
fn ended(view: &Value) -> Ended {
    let verdict = &view["verdict"];
    if verdict["outcome"] == "passed" {
        return Ended::Passed;
    }
    let words = verdict["message"].as_str().unwrap_or_else(|| panic!("no verdict: {view:#}")).to_owned();
    match words.split_once(" denied by the ").and_then(|(_, rest)| rest.split_once(" rule: ")) {
        Some((rule, _)) => {
            assert_eq!(verdict["kind"], "misconfigured", "{words}");
            Ended::Denied { rule: rule.to_owned(), words: words.clone() }
        }
        None => Ended::Failed(words),
    }
}

/// A certificate for these names and the public service, and the authority that issued it, in PEM.
fn certified(names: &[&str]) -> (Arc<rustls::ServerConfig>, String) {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().chain(&[PUBLIC, PUBLIC_AT]).map(|&name| name.to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    (Arc::new(config), authority.pem())
}

/// An answer that says where it comes from, and that no other is to come by its socket.
pub(crate) fn welcome(at: SocketAddr) -> String {
    let body = format!("this is {}", at.ip());
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Where the system goes for it.
fn dialled_for(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(address) if address.is_unspecified() => "::1".parse().unwrap(),
        other => other,
    }
}

/// The one place that was dialled, if any was.
fn only(taken: &[SocketAddr]) -> Option<IpAddr> {
    let mut places: Vec<_> = taken.iter().map(|at| at.ip().to_canonical()).collect();
    places.dedup();
    assert!(places.len() <= 1, "one request went to several places: {taken:?}");
    places.pop()
}

#[test]
fn no_spelling_of_a_forbidden_address_reaches_it() {
    const TEST: &str = "no_spelling_of_a_forbidden_address_reaches_it";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        let range = Range::new(canary, names, &[], &[], |at, _| welcome(at));
        let (mut denied, mut fields) = (0, 0);
        for (index, Spelling { host, meant }) in spellings::all().into_iter().enumerate() {
            // Plain http meets a rule of its own first, so a part of them is enough for it.
            for scheme in if index % 8 == 0 { &["https", "http"][..] } else { &["https"] } {
                let origin = format!("{scheme}://{host}");
                let ended = range.attempt(&format!("{index} {scheme}"), &origin);
                let public = meant.filter(|meant| !is_forbidden(*meant));
                if let Some(taken) = only(&range.canary.taken()) {
                    assert_eq!(Some(taken), public, "{origin} was dialled: {ended:?}");
                    continue;
                }
                match &ended {
                    Ended::Field(words) => {
                        fields += 1;
                        assert!(!words.is_empty(), "{origin}");
                    }
                    Ended::Denied { rule, words } => {
                        denied += 1;
                        assert!(matches!(rule.as_str(), "address" | "scheme" | "url"), "{origin}: {words}");
                    }
                    // A name that nobody knows, or one that the connector's own client does not take for one.
                    Ended::Failed(words) => {
                        let refused = ["could not be reached", "host is not one"];
                        assert!(refused.iter().any(|known| words.contains(known)), "{origin}: {words}");
                        let unread = words.contains("host is not one");
                        assert!(meant.is_none() || unread, "{origin} means {meant:?}: {words}");
                    }
                    Ended::Passed => panic!("{origin} passed, and nothing was dialled"),
                }
            }
        }
        assert!(denied >= 600 && fields >= 150, "{denied} denied by a rule, {fields} by their field");
        // The canary does see what is dialled.
        assert_eq!(range.attempt("Public", &format!("https://{PUBLIC}")), Ended::Passed);
        assert_eq!(range.attempt("Literal", &format!("https://{PUBLIC_AT}")), Ended::Passed);
        assert_eq!(only(&range.canary.taken()), Some(PUBLIC_AT.parse().unwrap()));
    });
}

#[test]
fn what_the_policy_approved_is_what_is_dialled() {
    const TEST: &str = "what_the_policy_approved_is_what_is_dialled";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        let range = Range::new(canary, names, &["0.0.0.0/0", "::/0"], &[], |at, _| welcome(at));
        let mut reached = 0;
        for (index, Spelling { host, meant }) in spellings::all().into_iter().enumerate().step_by(2) {
            let origin = format!("http://{host}");
            let name = format!("Probe-{index}");
            let ended = range.attempt(&name, &origin);
            let taken = only(&range.canary.taken());
            assert_eq!(taken.is_some(), ended == Ended::Passed, "{origin}: {ended:?}");
            let Some(taken) = taken else { continue };
            reached += 1;
            assert_eq!(Some(taken), meant.map(dialled_for), "{origin} was read in two ways");
            let view = range.api.get(&format!("/connections/{name}")).ended(200).json();
            let approved = view["verdict"]["exchanges"][0]["origin"].as_str().unwrap();
            let approved = approved.trim_start_matches("http://").trim_matches(['[', ']']);
            assert_eq!(approved.parse::<IpAddr>().ok().map(dialled_for), Some(taken), "{origin}: {approved}");
        }
        assert!(reached >= 300, "only {reached} spellings were dialled, so those refused prove little");
    });
}

#[test]
fn an_opened_address_is_reached_by_its_spellings_and_its_neighbour_by_none() {
    const TEST: &str = "an_opened_address_is_reached_by_its_spellings_and_its_neighbour_by_none";
    components::path(BINARY, "http");
    in_own_internet(TEST, |canary, names| {
        let range = Range::new(canary, names, &["10.66.0.1"], &[], |at, _| welcome(at));
        for (index, host) in
            ["10.66.0.1", "172097537", "0xa420001", "012.0102.0.1", "10.66.1", "10.4325377"].iter().enumerate()
        {
            assert_eq!(range.attempt(&format!("Opened {index}"), &format!("http://{host}")), Ended::Passed, "{host}");
            assert_eq!(only(&range.canary.taken()), Some([10, 66, 0, 1].into()), "{host}");
        }
        for (index, host) in
            ["10.66.0.2", "172097538", "0xa420000", "012.0102.0.3", "10.66.2", "[::10.66.0.1]"].iter().enumerate()
        {
            let ended = range.attempt(&format!("Neighbour {index}"), &format!("http://{host}"));
            assert!(matches!(&ended, Ended::Denied { rule, .. } if rule == "address"), "{host}: {ended:?}");
            assert_eq!(only(&range.canary.taken()), None, "{host}");
        }
    });
}
