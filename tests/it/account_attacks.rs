//! Attacks on signing in by an account: a provider that lies, and callbacks that nobody sent. Each is refused with words that say
//! what was wrong, before anybody is let in; the same sign-in without the one lie succeeds.

use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use turnbuckle::config::Config;
use turnbuckle::{
    AccountOf, Actor, Arrival, AuditFilter, BegunSignIn, Error, Host, Outside, PutPermissionSet, PutUser, Secret,
};
use turnbuckle_tests::browser::parameter;
use turnbuckle_tests::upstream::{Reply, Upstream};
use url::Url;

const CLIENT: &str = "console";

/// A key pair of a provider, or of somebody who would like to be one.
struct Pair {
    private: EncodingKey,
    public: Value,
    /// As a text, which an attacker has too.
    pem: String,
}

impl Pair {
    fn new(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let private = EncodingKey::from_ec_der(&pair.serialize_der());
        let mut public = serde_json::to_value(Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap()).unwrap();
        public["kid"] = json!(kid);
        public["use"] = json!("sig");
        Self { private, public, pem: pair.public_key_pem() }
    }

    fn sign(&self, kid: &str, claims: &Value) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

/// What the provider answers at the moment.
#[derive(Default)]
struct Said {
    metadata: Value,
    keys: Value,
    token: Value,
}

/// A provider that says what a test wants, a host that trusts it, and a clock.
struct Forger {
    host: Host,
    upstream: Upstream,
    said: Arc<Mutex<Said>>,
    clock: Arc<Mutex<Timestamp>>,
    pair: Pair,
    base: Url,
    _folder: tempfile::TempDir,
}

impl Forger {
    async fn new() -> Self {
        let (upstream, pair) = (Upstream::start(), Pair::new("first"));
        let issuer = upstream.origin();
        let said = Arc::new(Mutex::new(Said {
            metadata: json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
                "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
                "authorization_response_iss_parameter_supported": true,
            }),
            keys: json!({"keys": [pair.public]}),
            token: Value::Null,
        }));
        let answers = |path: &str, of: fn(&Said) -> &Value| {
            let said = Arc::clone(&said);
            upstream.on("*", path, move |_| Reply::json(200, of(&said.lock().unwrap())));
        };
        answers("/.well-known/openid-configuration", |said| &said.metadata);
        answers("/keys", |said| &said.keys);
        answers("/token", |said| &said.token);
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Mutex::new("2026-05-04T03:02:01Z".parse::<Timestamp>().unwrap()));
        let host = open(folder.path(), &issuer, &clock).await;
        let root = Actor::administrator("root");
        let set = serde_json::from_value::<PutPermissionSet>(json!({"permissions": ["view-connections"]})).unwrap();
        host.put_permission_set(&root, "readers", set).await.unwrap();
        let ada = serde_json::from_value::<PutUser>(json!({"permission-sets": ["readers"]})).unwrap();
        host.put_user(&root, "ada", ada).await.unwrap();
        let account = AccountOf { subject: Some("248289761001".into()), ..AccountOf::default() };
        host.bind_account(&root, "ada", account).await.unwrap();
        let base = Url::parse("http://127.0.0.1:7000").unwrap();
        Self { host, upstream, said, clock, pair, base, _folder: folder }
    }

    fn issuer(&self) -> String {
        self.upstream.origin()
    }

    fn now(&self) -> i64 {
        self.clock.lock().unwrap().as_second()
    }

    fn pass(&self, duration: SignedDuration) {
        let mut clock = self.clock.lock().unwrap();
        *clock = clock.checked_add(duration).unwrap();
    }

    async fn begin(&self) -> BegunSignIn {
        self.host.begin_sign_in(&self.base).await.unwrap()
    }

    /// What an honest provider says of a sign-in.
    fn claims(&self, begun: &BegunSignIn) -> Value {
        json!({
            "iss": self.issuer(), "aud": CLIENT, "sub": "248289761001", "nonce": parameter(begun.url.as_str(), "nonce"),
            "iat": self.now(), "exp": self.now() + 600, "email": "ada@example.com", "email_verified": true,
        })
    }

    /// The provider hands this out for the next code.
    fn hands_out(&self, id_token: &str) {
        let token = json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token});
        self.said.lock().unwrap().token = token;
    }

    /// What an honest provider sends the browser back with.
    fn parameters(&self, begun: &BegunSignIn) -> Vec<(String, String)> {
        let pairs = [("code", "c0de"), ("state", begun.state.as_str()), ("iss", &self.issuer())];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    async fn finish(&self, begun: &BegunSignIn, parameters: &[(String, String)]) -> Result<Arrival, Error> {
        self.host.finish_sign_in(&self.base, parameters, Some(begun.proof.clone())).await
    }

    /// A whole sign-in, with a token made of honest claims.
    async fn with(&self, token: impl FnOnce(&Self, Value) -> String) -> String {
        let begun = self.begin().await;
        self.hands_out(&token(self, self.claims(&begun)));
        told(self.finish(&begun, &self.parameters(&begun)).await)
    }

    fn asked(&self, path: &str) -> usize {
        self.upstream.arrived().iter().filter(|arrived| arrived.path == path).count()
    }
}

async fn open(data: &Path, issuer: &str, clock: &Arc<Mutex<Timestamp>>) -> Host {
    let text =
        format!("[egress]\nallow = [\"{issuer}\"]\n[sign-in.oidc]\nissuer = \"{issuer}\"\nclient-id = \"{CLIENT}\"\n");
    let file = data.join("turnbuckle.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file), std::iter::empty()).unwrap();
    let clock = Arc::clone(clock);
    let random = |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(16) {
            chunk.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..chunk.len()]);
        }
    };
    let outside = Outside::new(move || *clock.lock().unwrap(), random);
    Host::builder(data.join("data")).config(config).outside(outside).open().await.unwrap()
}

/// Who was let in, or why nobody was.
fn told(arrival: Result<Arrival, Error>) -> String {
    match arrival {
        Ok(Arrival::SignedIn { actor, .. }) => format!("signed in as {}", actor.name()),
        Ok(Arrival::Unknown { subject, .. }) => format!("unknown account {subject}"),
        Ok(Arrival::MayDoNothing { user }) => format!("{user} may do nothing"),
        Err(error) => format!("{}: {error}", error.code()),
    }
}

/// Why sign-ins were refused, as the audit tells.
async fn refused(host: &Host) -> Vec<String> {
    let filter = AuditFilter { action: Some("host.sign-in".into()), ..AuditFilter::default() };
    let records = host.audit(&Actor::administrator("root"), &filter).await.unwrap().items;
    records.into_iter().filter_map(|record| record.event.reason).collect()
}

const IN: &str = "signed in as ada";

fn not_believed(why: &str) -> String {
    format!("id-token: what the provider said of you is not believed: its ID token {why}")
}

/// A claim changed, or, where null is given, left out.
fn but(mut claims: Value, name: &str, value: &Value) -> Value {
    claims[name] = value.clone();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    }
    claims
}

#[tokio::test]
async fn an_id_token_is_believed_only_where_every_claim_fits() {
    let forger = Forger::new().await;
    let honest = forger.with(|forger, claims| forger.pair.sign("first", &claims)).await;
    assert_eq!(honest, IN);
    let now = forger.now();
    for (claim, value, words) in [
        ("iss", json!("https://attacker.example"), "is of another provider"),
        ("iss", json!(format!("{}/", forger.issuer())), "is of another provider"),
        ("iss", json!(null), "says nothing, or not as it should, in `iss`"),
        ("aud", json!("another"), "is for another application"),
        ("aud", json!([CLIENT, "another"]), "is for another application"),
        ("aud", json!([]), "is for another application"),
        ("aud", json!(null), "says nothing, or not as it should, in `aud`"),
        ("azp", json!("another"), "is for another application"),
        ("nonce", json!("of another sign-in"), "is of another sign-in"),
        ("nonce", json!(null), "says nothing, or not as it should, in `nonce`"),
        ("exp", json!(now - 60), "has expired"),
        ("exp", json!("tomorrow"), "says nothing, or not as it should, in `exp`"),
        ("exp", json!(null), "says nothing, or not as it should, in `exp`"),
        ("iat", json!(null), "says nothing, or not as it should, in `iat`"),
        (
            "iat",
            json!(now + 61),
            "is of another time; the clocks of this server and of the provider differ, or it was kept",
        ),
        (
            "iat",
            json!(now - 661),
            "is of another time; the clocks of this server and of the provider differ, or it was kept",
        ),
        (
            "nbf",
            json!(now + 61),
            "is of another time; the clocks of this server and of the provider differ, or it was kept",
        ),
        ("at_hash", json!("of another token"), "does not belong to the access token that came with it"),
        ("sub", json!(null), "says nothing, or not as it should, in `sub`"),
        ("sub", json!(""), "says nothing, or not as it should, in `sub`"),
        ("sub", json!("a\nb"), "says nothing, or not as it should, in `sub`"),
    ] {
        let answer = forger.with(|forger, claims| forger.pair.sign("first", &but(claims, claim, &value))).await;
        assert_eq!(answer, not_believed(words), "{claim} = {value}");
    }
    for (claim, value) in [
        ("exp", json!(now - 59)),
        ("iat", json!(now + 60)),
        ("aud", json!([CLIENT])),
        ("azp", json!(CLIENT)),
        ("at_hash", json!("ypeBEsobvcr6wjGzmiPcTQ")), // of the access token `a`
    ] {
        let answer = forger.with(|forger, claims| forger.pair.sign("first", &but(claims, claim, &value))).await;
        assert_eq!(answer, IN, "{claim} = {value}");
    }
    let other = forger.with(|forger, claims| forger.pair.sign("first", &but(claims, "sub", &json!("1")))).await;
    assert_eq!(other, "unknown account 1");
}

#[tokio::test]
async fn an_id_token_is_believed_only_where_the_providers_own_key_signed_it() {
    let forger = Forger::new().await;
    let stranger = Pair::new("first");
    let none = |_: &Forger, claims: Value| {
        let part = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&claims))
    };
    assert_eq!(forger.with(none).await, not_believed("is not signed in a way that is taken here"));
    // Who takes any algorithm would check a MAC with the public key as its secret.
    let confused = |forger: &Forger, claims: Value| {
        let header = Header { kid: Some("first".into()), ..Header::new(Algorithm::HS256) };
        let secret = EncodingKey::from_secret(forger.pair.pem.as_bytes());
        jsonwebtoken::encode(&header, &claims, &secret).unwrap()
    };
    assert_eq!(forger.with(confused).await, not_believed("is not signed in a way that is taken here"));
    let of_another = |_: &Forger, claims: Value| stranger.sign("first", &claims);
    assert_eq!(forger.with(of_another).await, not_believed("is not signed by the provider"));
    // A key that comes along with the token is nobody's word but its own.
    let brought = |_: &Forger, claims: Value| {
        let jwk = serde_json::from_value::<Jwk>(stranger.public.clone()).unwrap();
        let header = Header { kid: Some("first".into()), jwk: Some(jwk), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &stranger.private).unwrap()
    };
    assert_eq!(forger.with(brought).await, not_believed("is not signed by the provider"));
    let altered = |forger: &Forger, claims: Value| {
        let token = forger.pair.sign("first", &but(claims.clone(), "sub", &json!("1")));
        let parts: Vec<_> = token.split('.').collect();
        format!("{}.{}.{}", parts[0], BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
    };
    assert_eq!(forger.with(altered).await, not_believed("is not signed by the provider"));
    for (header, words) in [
        (Header { typ: Some("at+jwt".into()), ..Header::new(Algorithm::ES256) }, "is a token for something else"),
        (Header { crit: Some(vec!["x".into()]), ..Header::new(Algorithm::ES256) }, "is a token for something else"),
    ] {
        let header = Header { kid: Some("first".into()), ..header };
        let typed =
            |forger: &Forger, claims: Value| jsonwebtoken::encode(&header, &claims, &forger.pair.private).unwrap();
        assert_eq!(forger.with(typed).await, not_believed(words));
    }
    let shapeless = forger.with(|_, _| "not a token".into()).await;
    assert_eq!(shapeless, not_believed("is not signed in a way that is taken here"));
    assert_eq!(forger.with(|forger, claims| forger.pair.sign("first", &claims)).await, IN);
}

#[tokio::test]
async fn a_provider_changes_its_keys_and_unknown_ones_are_not_looked_for_all_the_time() {
    let forger = Forger::new().await;
    assert_eq!(forger.with(|forger, claims| forger.pair.sign("first", &claims)).await, IN);
    assert_eq!(forger.asked("/keys"), 1);
    let next = Pair::new("second");
    forger.said.lock().unwrap().keys = json!({"keys": [{"kty": "unheard-of"}, next.public]});
    let unknown = not_believed("is signed by a key that the provider does not publish");
    for _attempt in 0..3 {
        assert_eq!(forger.with(|_, claims| next.sign("second", &claims)).await, unknown);
    }
    assert_eq!(forger.asked("/keys"), 1, "it was looked at a moment ago");
    forger.pass(SignedDuration::from_secs(60));
    assert_eq!(forger.with(|_, claims| next.sign("second", &claims)).await, IN);
    assert_eq!(forger.asked("/keys"), 2);
    let gone = forger.with(|forger, claims| forger.pair.sign("first", &claims)).await;
    assert_eq!(gone, unknown, "a key that was taken back signs nobody in");
}

#[tokio::test]
async fn a_callback_that_is_not_of_this_sign_in_is_refused_before_any_token_request() {
    let forger = Forger::new().await;
    let begun = forger.begin().await;
    forger.hands_out(&forger.pair.sign("first", &forger.claims(&begun)));
    let own = forger.parameters(&begun);
    let stale = |why: &str| format!("sign-in-state: this sign-in can't be finished: {why}");
    let elsewhere = stale("it was not begun in this browser, or came to an end before");

    // Another browser, whether it began a sign-in itself or not; and a state that somebody made up.
    let other = forger.begin().await;
    for proof in [None, Some(other.proof), Some(Secret::new("1777863721.made-up")), Some(Secret::new(""))] {
        let answer = told(forger.host.finish_sign_in(&forger.base, &own, proof).await);
        assert_eq!(answer, elsewhere);
    }
    let mut made_up = own.clone();
    made_up[1].1 = "made-up".into();
    assert_eq!(told(forger.finish(&begun, &made_up).await), elsewhere);
    assert_eq!(told(forger.finish(&begun, &own[..1]).await), stale("it has no state"));
    assert_eq!(refused(&forger.host).await, Vec::<String>::new(), "what anybody can make up leaves no record");

    // Mixed up with another provider, or silent about which one it is.
    let mixed_up = "sign-in-issuer: this sign-in can't be finished: the answer is of another provider than the one that you \
                    were sent to";
    for parameters in [
        vec![own[0].clone(), own[1].clone()],
        vec![own[0].clone(), own[1].clone(), ("iss".into(), "https://attacker.example".into())],
    ] {
        let begun = forger.begin().await;
        let mut parameters = parameters;
        parameters[1].1 = begun.state.clone();
        assert_eq!(told(forger.finish(&begun, &parameters).await), mixed_up);
    }
    let begun = forger.begin().await;
    let mut twice = forger.parameters(&begun);
    twice.push(("code".into(), "another".into()));
    assert_eq!(told(forger.finish(&begun, &twice).await), stale("its answer says one thing twice"));
    let begun = forger.begin().await;
    let mut declined = forger.parameters(&begun);
    declined[0] = ("error".into(), "access_denied".into());
    let words =
        "sign-in-declined: the provider did not let you in: you declined, or may not use this application".to_owned();
    assert_eq!(told(forger.finish(&begun, &declined).await), words);
    let late = forger.begin().await;
    forger.pass(SignedDuration::from_secs(601));
    let parameters = forger.parameters(&late);
    assert_eq!(told(forger.finish(&late, &parameters).await), stale("it took longer than ten minutes"));
    assert_eq!(forger.asked("/token"), 0, "no code was sent anywhere");
    let mut reasons = refused(&forger.host).await;
    reasons.sort();
    let all = ["sign-in-declined", "sign-in-issuer", "sign-in-issuer", "sign-in-state", "sign-in-state"];
    assert_eq!(reasons, all);
}

#[tokio::test]
async fn a_state_serves_once_whatever_came_of_it_and_never_another_run_of_the_server() {
    let forger = Forger::new().await;
    let begun = forger.begin().await;
    forger.hands_out(&forger.pair.sign("first", &forger.claims(&begun)));
    let parameters = forger.parameters(&begun);
    assert_eq!(told(forger.finish(&begun, &parameters).await), IN);
    let used = "sign-in-state: this sign-in can't be finished: it was used before";
    assert_eq!(told(forger.finish(&begun, &parameters).await), used);
    let begun = forger.begin().await;
    forger.hands_out("not a token");
    let parameters = forger.parameters(&begun);
    told(forger.finish(&begun, &parameters).await);
    forger.hands_out(&forger.pair.sign("first", &forger.claims(&begun)));
    assert_eq!(told(forger.finish(&begun, &parameters).await), used, "nobody tries again with the same code");

    let begun = forger.begin().await;
    let folder = tempfile::tempdir().unwrap();
    let again = open(folder.path(), &forger.issuer(), &forger.clock).await;
    let parameters = forger.parameters(&begun);
    let answer = again.finish_sign_in(&forger.base, &parameters, Some(begun.proof)).await;
    let elsewhere = "it was not begun in this browser, or came to an end before";
    assert_eq!(told(answer), format!("sign-in-state: this sign-in can't be finished: {elsewhere}"));
}

#[tokio::test]
async fn a_provider_that_does_not_fit_is_told_to_whoever_looks() {
    let forger = Forger::new().await;
    let root = Actor::administrator("root");
    let report = forger.host.check_sign_in(&root, Some(&forger.base)).await.unwrap();
    assert_eq!(report.redirect_uri.as_deref(), Some("http://127.0.0.1:7000/sign-in/oidc/callback"));
    assert_eq!((report.keys, report.algorithms), (1, vec!["ES256".to_owned()]));
    let good = forger.said.lock().unwrap().metadata.clone();
    let issuer = forger.issuer();
    for (name, value, words) in [
        (
            "issuer",
            json!("https://attacker.example"),
            format!("it calls itself `https://attacker.example`, and `sign-in.oidc.issuer` is `{issuer}`"),
        ),
        (
            "token_endpoint",
            json!("http://attacker.example/token"),
            "its token_endpoint, http://attacker.example/token, is not reached by https".into(),
        ),
        ("code_challenge_methods_supported", json!(["plain"]), "it does not know PKCE by S256".into()),
        (
            "id_token_signing_alg_values_supported",
            json!(["HS256", "none"]),
            "it signs ID tokens by none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA".into(),
        ),
    ] {
        forger.said.lock().unwrap().metadata = but(good.clone(), name, &value);
        let error = forger.host.check_sign_in(&root, None).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the OpenID provider can't be used: {words}"), "{name}");
        let begun = forger.host.begin_sign_in(&forger.base).await;
        assert_eq!(begun.unwrap_err().to_string(), error.to_string(), "nobody is sent to it");
    }
}
