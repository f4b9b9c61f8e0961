//! The server under attack on the wire: names that are not its own, requests that two readers would read in two ways, and whatever
//! is larger than it may be. After each, it serves others as before.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use turnbuckle_tests::api::Api;
use turnbuckle_tests::raw::{Left, Raw, authority, exchange, statuses};
use turnbuckle_tests::upstream::Reply;
use turnbuckle_tests::world::Serving;

use crate::scene::{Scene, world, wrong_fields};

/// Routes of every kind: open, with a token, with a session, static, none at all.
const ROUTES: [&str; 11] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/openapi.json",
    "/api/v1/host",
    "/api/v1/connections/x/send?url=/",
    "/",
    "/sign-in",
    "/integrations",
    "/oauth/callback/x?code=a&state=b",
    "/nowhere",
];

/// A request without a body whose answer ends the connection, with these lines instead of a `Host` of its own.
fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
}

fn serves(server: &Serving) {
    let api = Api::new(&server.url, None);
    assert_eq!(api.raw(Method::GET, "/healthz", &[], Bytes::new()).ended(200).text(), "ok\n");
}

#[test]
fn a_request_that_does_not_name_this_server_once_gets_nothing_on_any_route() {
    let world = world();
    let server = world.serve();
    let own = authority(&server.url);
    let port = own.rsplit(':').next().unwrap();
    let wrong = [
        String::new(),
        "Host:\r\n".to_owned(),
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example:{port}\r\n"),
        "Host: 127.0.0.1\r\n".to_owned(),
        "Host: localhost\r\n".to_owned(),
        "Host: 127.0.0.1:1\r\n".to_owned(),
        format!("Host: 127.0.0.1.evil.example:{port}\r\n"),
        format!("Host: {own}.evil.example\r\n"),
        format!("Host: {own}@evil.example\r\n"),
        format!("Host: evil.example@{own}\r\n"),
        format!("Host: evil.example#{own}\r\n"),
        format!("Host: {own},evil.example\r\n"),
        format!("Host: {own} evil.example\r\n"),
        format!("Host: http://{own}\r\n"),
        format!("Host: {own}/\r\n"),
        format!("Host: 127.1:{port}\r\n"),
        format!("Host: 2130706433:{port}\r\n"),
        format!("Host: 0x7f.1:{port}\r\n"),
        format!("Host: 0.0.0.0:{port}\r\n"),
        format!("Host: 127.0.0.1.:{port}\r\n"),
        format!("Host: localhost.:{port}\r\n"),
        format!("Host: [::ffff:127.0.0.1]:{port}\r\n"),
        format!("Host: 127.0.0.1:0{port}\r\n"),
        format!("Host: loc\u{e5}lhost:{port}\r\n"),
        // Twice, even where one of them, or both, are good: whoever stands in front may go by the other.
        format!("Host: {own}\r\nHost: evil.example\r\n"),
        format!("Host: evil.example\r\nHost: {own}\r\n"),
        format!("Host: {own}\r\nHost: {own}\r\n"),
        format!("Host: {own}\r\nhOST: evil.example\r\n"),
        // What a proxy says is nobody's name.
        format!("Host: evil.example\r\nX-Forwarded-Host: {own}\r\nForwarded: host={own}\r\n"),
    ];
    for lines in &wrong {
        for route in ROUTES {
            let (said, left) = exchange(&server.url, get(route, lines));
            let status = statuses(&said);
            assert!(matches!(status[..], [421 | 400]), "{route} with {lines:?}: {said}");
            assert_eq!(left, Left::Closed, "{route} with {lines:?}");
        }
    }
    // A target that names a server, too, must agree.
    for (target, lines) in [
        ("http://evil.example/healthz".to_owned(), format!("Host: {own}\r\n")),
        (format!("http://{own}/healthz"), "Host: evil.example\r\n".to_owned()),
        (format!("http://{own}/healthz"), format!("Host: {own}\r\nHost: evil.example\r\n")),
        ("http://evil.example/healthz".to_owned(), "Host: evil.example\r\n".to_owned()),
        (format!("http://evil.example@{own}/healthz"), format!("Host: {own}\r\n")),
        (format!("http://{own}@evil.example/healthz"), format!("Host: {own}\r\n")),
    ] {
        let (said, _) = exchange(&server.url, get(&target, &lines));
        assert!(matches!(statuses(&said)[..], [421 | 400]), "{target} with {lines:?}: {said}");
    }
    for (target, lines) in [
        ("/healthz".to_owned(), format!("Host: {own}\r\n")),
        ("/healthz".to_owned(), format!("hOsT:\t{own} \r\n")),
        ("/healthz".to_owned(), format!("Host: LOCALHOST:{port}\r\n")),
        (format!("http://{own}/healthz"), format!("Host: {own}\r\n")),
        ("/healthz".to_owned(), format!("Host: {own}\r\nX-Forwarded-Host: evil.example\r\n")),
    ] {
        let (said, _) = exchange(&server.url, get(&target, &lines));
        assert_eq!(statuses(&said), [200], "{target} with {lines:?}: {said}");
        assert!(!said.contains("evil.example"), "{said}");
    }
}

#[test]
fn no_route_that_changes_something_is_open_to_a_page_of_another_origin() {
    let scene = Scene::http();
    let document = scene.api.raw(Method::GET, "/api/openapi.json", &[], Bytes::new()).ended(200).json();
    let own = scene.server.url.clone();
    let port = own.rsplit(':').next().unwrap().to_owned();
    let foreign = [
        ("origin", "https://evil.example".to_owned()),
        ("origin", "null".to_owned()),
        ("origin", String::new()),
        ("origin", format!("http://127.0.0.1.evil.example:{port}")),
        ("origin", format!("{own}.evil.example")),
        ("origin", format!("http://evil.example@127.0.0.1:{port}/")),
        ("origin", "http://127.0.0.1".to_owned()),
        ("origin", "file://".to_owned()),
        ("origin", format!("{own} https://evil.example")),
        ("origin", format!("http://loc\u{e5}lhost:{port}")),
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-site", "same-site".to_owned()),
        ("sec-fetch-site", "SAME-ORIGIN, cross-site".to_owned()),
        ("sec-fetch-site", String::new()),
    ];
    let before = scene.api.get("/audit").ended(200).json();
    let mut routes = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.replace(['{', '}'], "");
        for method in operations.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            if [Method::GET, Method::HEAD].contains(&method) || path.ends_with("/send") && method == Method::OPTIONS {
                continue;
            }
            routes += 1;
            for (name, value) in &foreign {
                let head = format!(
                    "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{name}: {value}\r\n\
                     Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
                    authority(&own),
                    scene.server.token,
                );
                let (said, _) = exchange(&own, head);
                assert_eq!(statuses(&said), [403], "{method} {path} with {name}: {value}: {said}");
                assert!(said.contains("\"foreign-origin\""), "{method} {path}: {said}");
            }
        }
    }
    assert!(routes >= 50, "{routes}");
    // One good header does not stand for a bad one beside it.
    for lines in [
        format!("Origin: {own}\r\nOrigin: https://evil.example\r\n"),
        format!("Origin: https://evil.example\r\nOrigin: {own}\r\n"),
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n".to_owned(),
        format!("Origin: {own}\r\nSec-Fetch-Site: cross-site\r\n"),
        "Origin: https://evil.example\r\nSec-Fetch-Site: same-origin\r\n".to_owned(),
    ] {
        let head = format!(
            "POST /api/v1/audit/verify HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{lines}Content-Length: 0\r\n\
             Connection: close\r\n\r\n",
            authority(&own),
            scene.server.token,
        );
        let (said, _) = exchange(&own, head);
        assert_eq!(statuses(&said), [403], "{lines:?}: {said}");
    }
    assert_eq!(scene.api.get("/audit").ended(200).json(), before, "nothing was done");
}

/// Requests whose end two readers see in two places, or whose lines they part in two ways. Behind each stands another request,
/// which must be nobody's.
fn ambiguous(own: &str, token: &str) -> Vec<(String, String)> {
    let hidden = format!("GET /healthz HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n");
    let framed = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4, 5",
        "Content-Length: 4 4",
        "Content-Length: +4",
        "Content-Length: -4",
        "Content-Length: 0x4",
        "Content-Length: 4;",
        "Content-Length: four",
        "Content-Length: 99999999999999999999",
        "Content-Length : 4",
        "Content-Length\t: 4",
        "Content-Length:\u{b}4",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked\u{0}",
        "Transfer\u{0}-Encoding: chunked",
        "X-Folded: a\r\n Transfer-Encoding: chunked",
        "X-Folded: a\r\n\tContent-Length: 4",
        " Transfer-Encoding: chunked",
        "X-Bare: a\rTransfer-Encoding: chunked",
        "X-Nul: a\u{0}b",
        "X Space: a",
        ": nameless",
        "nameless",
    ];
    let mut all: Vec<_> = framed
        .iter()
        .map(|lines| {
            let head = format!(
                "POST /api/v1/audit/verify HTTP/1.1\r\nHost: {own}\r\nAuthorization: Bearer {token}\r\n{lines}\r\n\r\n"
            );
            ((*lines).to_owned(), format!("{head}0\r\n\r\n{hidden}"))
        })
        .collect();
    // Chunks.
    for chunk in [
        "-1\r\n",
        "0x0\r\n\r\n",
        "g\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        " \r\n",
        "\r\n",
        "1\r\na0\r\n\r\n",
    ] {
        let head = format!(
            "POST /api/v1/flows HTTP/1.1\r\nHost: {own}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let head = head.replace("POST /api/v1/flows", "PUT /api/v1/flows/x");
        all.push((format!("the chunk {chunk:?}"), format!("{head}{chunk}{hidden}")));
    }
    // First lines.
    for line in [
        "GET /healthz HTTP/9.9",
        "GET /healthz HTTP/2.0",
        "GET /healthz http/1.1",
        "GET /healthz HTTP/1.1 ",
        "GET /healthz HTTP/1.1 HTTP/1.1",
        "GET\t/healthz\tHTTP/1.1",
        "GET  /healthz HTTP/1.1",
        "GET /healthz",
        "GET",
        "G\u{0}T /healthz HTTP/1.1",
        "GET /health\u{0}z HTTP/1.1",
        "GET \\healthz HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        all.push((line.to_owned(), format!("{line}\r\nHost: {own}\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{hidden}")));
    }
    all
}

#[test]
fn a_request_that_could_be_read_in_two_ways_is_answered_once_and_ends_its_connection() {
    let scene = Scene::http();
    let url = scene.server.url.clone();
    let all = ambiguous(authority(&url), &scene.server.token);
    assert!(all.len() >= 50, "{}", all.len());
    for (what, bytes) in all {
        let (said, left) = exchange(&url, bytes);
        assert!(statuses(&said).len() <= 1, "{what}: {said}");
        assert!(!said.ends_with("\r\n\r\nok\n"), "{what}: the hidden request was answered: {said}");
        // Where both ends of a body are told, one of them holds, and nothing behind it does.
        let both =
            what.contains("Content-Length") && what.contains("Transfer-Encoding: chunked") && !what.contains("Folded");
        let fine = statuses(&said).iter().all(|status| *status >= 400 || both);
        assert!(fine, "{what}: {said}");
        assert_ne!(left, Left::Stayed, "{what}: {said}");
    }
    // HTTP/1.0 has no chunks, and what follows a good request is answered, which is what all of the above would look like.
    let own = authority(&url);
    let two = format!(
        "GET /readyz HTTP/1.1\r\nHost: {own}\r\n\r\nGET /healthz HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n"
    );
    let (said, _) = exchange(&url, two);
    assert_eq!(statuses(&said), [200, 200], "{said}");
    let old = format!("POST /sign-in HTTP/1.0\r\nHost: {own}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(statuses(&exchange(&url, old).0), [400]);
    serves(&scene.server);
}

#[test]
fn http_2_is_not_spoken_however_it_is_asked_for() {
    let world = world();
    let server = world.serve();
    let own = authority(&server.url);
    // The preface, settings, and ten thousand streams that are opened and reset at once.
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in 0..10_000_u32 {
        let id = (2 * stream + 1).to_be_bytes();
        flood.extend([0, 0, 3, 1, 4]);
        flood.extend(id);
        flood.extend([0x82, 0x84, 0x86]);
        flood.extend([0, 0, 4, 3, 0]);
        flood.extend(id);
        flood.extend([0, 0, 0, 8]);
    }
    let mut raw = Raw::to(&server.url);
    raw.say(&flood);
    let (said, left) = raw.rest();
    assert!(matches!(statuses(&said)[..], [] | [400]), "{said}");
    assert_ne!(left, Left::Stayed);
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n";
    let asked = format!("GET /healthz HTTP/1.1\r\nHost: {own}\r\n{upgrade}\r\n");
    let mut raw = Raw::to(&server.url);
    raw.say(asked);
    assert_eq!(statuses(&raw.answer()), [200], "an offer that is not taken");
    serves(&server);
}

#[test]
fn what_is_larger_than_it_may_be_is_refused_in_words_and_nobody_else_notices() {
    let scene = Scene::http();
    let (api, url) = (&scene.api, scene.server.url.as_str());
    let own = authority(url);
    let long = |length: usize| "a".repeat(length);
    for (what, head, expected) in [
        ("a path of 70 KiB", format!("GET /{} HTTP/1.1\r\nHost: {own}\r\n", long(70 << 10)), vec![414]),
        ("a query of 1 MiB", format!("GET /?{} HTTP/1.1\r\nHost: {own}\r\n", long(1 << 20)), vec![414, 431]),
        ("a header of 1 MiB", format!("GET /healthz HTTP/1.1\r\nHost: {own}\r\nX: {}\r\n", long(1 << 20)), vec![431]),
        (
            "a name of 1 MiB",
            format!("GET /healthz HTTP/1.1\r\nHost: {own}\r\n{}: x\r\n", long(1 << 20)),
            vec![400, 431],
        ),
        ("200 headers", format!("GET /healthz HTTP/1.1\r\nHost: {own}\r\n{}", "X: y\r\n".repeat(200)), vec![431]),
        ("a method of 1 MiB", format!("{} / HTTP/1.1\r\nHost: {own}\r\n", long(1 << 20)), vec![400, 431]),
    ] {
        let (said, left) = exchange(url, format!("{head}Connection: close\r\n\r\n"));
        // A server that stops reading may be heard no more.
        let status = statuses(&said);
        assert!(
            status.len() == 1 && expected.contains(&status[0]) || status.is_empty() && left == Left::Reset,
            "{what}: {said}"
        );
        serves(&scene.server);
    }
    let json = |body: String| {
        let headers = [("content-type", "application/json")];
        api.call(Method::PUT, "/flows/deep", &headers, Bytes::from(body))
    };
    for (what, body, expected) in [
        ("10,000 lists", format!("{{\"name\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000)), 422),
        ("10,000 objects", format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)), 422),
        ("an open end", "{\"name\":".repeat(5_000), 422),
        ("2 MiB", format!("{{\"name\": \"{}\"}}", long(2 << 20)), 413),
        ("a number of 10,000 digits", format!("{{\"name\": {}}}", "9".repeat(10_000)), 422),
        ("50,000 names", format!("{{{}\"name\":1}}", "\"x\":1,".repeat(50_000)), 422),
        ("half a character", "{\"name\": \"\\ud800\"}".to_owned(), 422),
    ] {
        let answer = json(body);
        assert_eq!(answer.status, expected, "{what}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
        assert!(answer.body.len() < 4_096, "{what}: what was wrong is not repeated");
    }
    let many = "a=b&".repeat(10_000);
    let problem = api.get(&format!("/connections?{many}")).ended(422).json();
    assert_eq!(wrong_fields(&problem).len(), 1, "{problem:#}");
    serves(&scene.server);
}

/// Zeros, packed so often.
fn bomb(mib: usize, layers: usize) -> Vec<u8> {
    let mut bytes = vec![0; mib << 20];
    for _ in 0..layers {
        let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packing, &bytes).unwrap();
        bytes = packing.finish().unwrap();
    }
    bytes
}

/// The most memory that a process had, in KiB.
fn peak(server: &Serving) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_bomb_of_a_service_or_of_a_caller_goes_off_in_nobodys_memory() {
    let scene = Scene::http();
    scene.connected("Orders");
    let (once, twice) = (bomb(256, 1), bomb(256, 2));
    assert!(once.len() < 1 << 20 && twice.len() < 64 << 10);
    for (path, coding, bytes) in [("/once", "gzip", once), ("/twice", "gzip, gzip", twice)] {
        scene
            .upstream
            .on("GET", path, move |_| Reply::status(200).header("content-encoding", coding).body(bytes.clone()));
    }
    let before = peak(&scene.server);
    for path in ["/once", "/twice"] {
        let mut new = scene.bearer(&format!("Bomb{}", path.replace('/', " ")), crate::scene::TOKEN);
        new["settings"]["test-path"] = json!(path);
        let verdict = scene.api.post("/connections", &new).ended(201).json()["verdict"].clone();
        let told = verdict["exchanges"][0]["error"].as_str().unwrap_or_default();
        assert_eq!(verdict["outcome"], "failed", "{verdict:#}");
        assert!(
            told.starts_with("the limit on an answer's size") || told.starts_with("the limit on bytes"),
            "{verdict:#}"
        );
        // The head is through before the bomb goes off: whoever reads on is cut off.
        let sent =
            scene.api.attempt(Method::GET, &format!("/api/v1/connections/Orders/send?url={path}"), &[], Bytes::new());
        assert!(sent.is_none_or(|answer| answer.body.len() <= 17 << 20), "{path}");
    }
    let grown = peak(&scene.server).saturating_sub(before);
    assert!(grown < 96 << 10, "{grown} KiB");
    // Nobody unpacks what a caller packed.
    for (path, kind) in
        [("/flows/x", "application/json"), ("/connections", "application/json"), ("/connectors", "application/wasm")]
    {
        let method = if path == "/flows/x" { Method::PUT } else { Method::POST };
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        let answer = scene.api.call(method, path, &headers, Bytes::from(bomb(16, 1)));
        assert_eq!(answer.status, 415, "{path}: {}", answer.text());
        assert_eq!(answer.json()["code"], "packed", "{path}");
    }
    serves(&scene.server);
}

#[test]
fn no_trick_in_a_name_leads_out_of_its_place() {
    let scene = Scene::http();
    scene.connected("Orders");
    let files = || {
        let mut all = Vec::new();
        turnbuckle_tests::tree::files(&scene.world.data(), &mut |path| all.push(path.to_owned()));
        all.sort();
        all
    };
    let before = files();
    let tricks = [
        "..",
        ".",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%2fOrders",
        "..%5cOrders",
        "%2fetc%2fpasswd",
        "Orders%00",
        "%00",
        "Orders%00.json",
        "%c0%ae%c0%ae%c0%af",
        "%e0%80%ae",
        "%ff%fe",
        "%252e%252e%252f",
        "..;",
        "..%3bx",
        "Orders%0d%0aX:1",
        "Orders%20",
        "%20",
        "%E2%80%AE",
        "%EF%BC%8E%EF%BC%8E%EF%BC%8F",
        "%CC%81",
        "%F0%9F%92%A3",
        "~root",
        "$HOME",
        "%7B%7B7*7%7D%7D",
        "'%20OR%201=1--",
        "%3Cscript%3E",
        "con",
        "C:%5c",
        "%5c%5cevil%5cshare",
        "file:%2f%2f%2fetc%2fpasswd",
        "*",
        "%25",
        "%",
    ];
    let long = "a".repeat(5_000);
    let kinds = [
        ("/flows", json!({"name": "x", "status": "draft"})),
        ("/webhooks", json!({"url": "https://93.184.216.34/in"})),
        ("/setup/permission-sets", json!({"permissions": ["view-connections"]})),
        ("/setup/users", json!({})),
        ("/setup/external-credentials", json!({"protocol": "none"})),
        ("/setup/identity-providers", json!({"connector": "http", "protocol": "oauth2", "client-id": "a"})),
        ("/connectors", Value::Null),
        ("/connections", Value::Null),
    ];
    for trick in tricks.iter().copied().chain([long.as_str()]) {
        for (below, body) in &kinds {
            for (method, rest) in
                [(Method::GET, ""), (Method::DELETE, ""), (Method::GET, "/icon"), (Method::POST, "/test")]
            {
                let answer = scene.api.call(method.clone(), &format!("{below}/{trick}{rest}"), &[], Bytes::new());
                let status = answer.status.as_u16();
                assert!(
                    (400..500).contains(&status) || *below == "/flows" && (200..300).contains(&status),
                    "{method} {below}/{trick}{rest}: {status} {}",
                    answer.text()
                );
                assert!(!answer.text().contains("root:"), "{below}/{trick}");
            }
            if body.is_null() {
                continue;
            }
            let answer = scene.api.send(Method::PUT, &format!("{below}/{trick}"), body);
            let status = answer.status.as_u16();
            // A name may be odd; what is kept under it is found under it and nowhere else.
            let kept = matches!(status, 200 | 201);
            assert!(kept || (400..500).contains(&status), "PUT {below}/{trick}: {status} {}", answer.text());
        }
    }
    assert_eq!(files(), before, "names of records are no names of files");
    let still = scene.api.get("/connections/Orders").ended(200).json();
    assert_eq!(still["status"], "active");
    serves(&scene.server);
}
