use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::{Call, EgressError, Limits, Phase, Timeouts};
use super::upstream::{SECRET, Upstream, bearer, call, call_with, get, open, read, send, text};

/// Every form in which a careless server repeats what it was sent.
fn forms() -> Vec<String> {
    let mut forms = vec![
        SECRET.to_owned(),
        hex::encode(SECRET),
        hex::encode_upper(SECRET),
        percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC).to_string(),
        url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
        serde_json::to_string(SECRET).unwrap().trim_matches('"').to_owned(),
        SECRET.replace('/', "\\/").replace('é', "\\u00e9"),
    ];
    for before in ["", "a", "ab"] {
        forms.push(STANDARD.encode(format!("{before}{SECRET}")));
        forms.push(URL_SAFE.encode(format!("{before}{SECRET}")));
    }
    forms
}

fn clean(text: &str) {
    for form in forms() {
        // The edges of base64 belong to the neighbours as much as to the secret.
        let inner = form.trim_end_matches('=');
        assert!(!text.contains(inner.get(3..inner.len() - 2).unwrap_or(inner)), "{form} in {text}");
    }
}

#[tokio::test]
async fn an_echo_split_at_every_byte_never_shows_the_secret() {
    let answer = forms().join(" | ");
    let length = answer.len();
    let upstream = Upstream::start(move |seen| {
        let at: usize = seen.line.rsplit('/').next().unwrap().parse().unwrap();
        let pieces = [&answer.as_bytes()[..at], &answer.as_bytes()[at..]].map(Bytes::copy_from_slice);
        let pieces = pieces.map(|piece| Ok(Frame::data(piece)));
        Response::new(StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync())
    })
    .await;
    let origin = upstream.origin();
    let (egress, permit) = (open(&[&origin]), bearer(&origin));
    let mut whole = None;
    for at in 0..=length {
        let body = read(send(&egress, &permit, get(&format!("{origin}/{at}"))).await.unwrap()).await.unwrap();
        clean(&body);
        assert_eq!(*whole.get_or_insert_with(|| body.clone()), body, "split at {at}");
    }
}

#[tokio::test]
async fn what_ends_an_answer_of_known_length_waits_for_nothing_behind_it() {
    let said = format!("almost {}", &SECRET[..7]);
    let answer = said.clone();
    let upstream = Upstream::start(move |seen| match seen.line.contains("secret") {
        true => text(format!("{SECRET}{answer}")),
        false => text(answer.clone()),
    })
    .await;
    let origin = upstream.origin();
    let (egress, permit) = (open(&[&origin]), bearer(&origin));
    for (path, expected) in [("", said.clone()), ("secret", format!("[redacted]{said}"))] {
        let response = send(&egress, &permit, get(&format!("{origin}/{path}"))).await.unwrap();
        let mut body = response.into_body();
        let whole = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(whole, expected.as_bytes(), "all of it at once");
        assert!(http_body::Body::is_end_stream(&body) && body.frame().await.is_none());
    }
}

#[tokio::test]
async fn headers_and_trailers_are_scanned_and_hop_by_hop_ones_dropped() {
    let upstream = Upstream::start(|seen| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-trailing", HeaderValue::from_bytes(SECRET.as_bytes()).unwrap());
        let frames = [Ok(Frame::data(Bytes::from_static(b"x"))), Ok(Frame::trailers(trailers))];
        let mut answer = Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync());
        let headers = answer.headers_mut();
        headers.insert("x-you-sent", seen.headers["authorization"].clone());
        headers.insert("x-basic", STANDARD.encode(SECRET).parse().unwrap());
        headers.insert("x-plain", HeaderValue::from_static("plain"));
        headers.insert("trailer", HeaderValue::from_static("x-trailing"));
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        headers.insert("connection", HeaderValue::from_static("x-secretly"));
        headers.insert("x-secretly", HeaderValue::from_static("mine"));
        headers.insert("proxy-authenticate", HeaderValue::from_static("Basic"));
        answer
    })
    .await;
    let origin = upstream.origin();
    let (egress, permit, call) = (open(&[&origin]), bearer(&origin), call());
    let mut request = get(&origin);
    request.headers_mut().insert("accept", HeaderValue::from_static("*/*"));
    let response = egress.send(&permit, &call, request, Timeouts::default()).await.unwrap();
    let headers = response.headers().clone();
    assert_eq!(headers["x-you-sent"], "Bearer [redacted]");
    assert!(headers["x-basic"].to_str().unwrap().starts_with("[redacted]"));
    assert_eq!(headers["x-plain"], "plain");
    assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    for dropped in ["trailer", "connection", "x-secretly", "proxy-authenticate", "transfer-encoding"] {
        assert!(!headers.contains_key(dropped), "{dropped}");
    }
    assert!(response.extensions().is_empty());
    let whole = response.into_body().collect().await.unwrap();
    // HTTP/1.1 carries trailers only to those who ask for them, which the host does not.
    if let Some(trailers) = whole.trailers() {
        assert_eq!(trailers["x-trailing"], "[redacted]");
    }
    assert!(call.exchanges()[0].redacted);
}

async fn encoded(coding: &str, plain: &[u8]) -> Vec<u8> {
    use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
    let mut out = Vec::new();
    macro_rules! encode {
        ($encoder:ident) => {{
            let mut encoder = $encoder::new(&mut out);
            encoder.write_all(plain).await.unwrap();
            encoder.shutdown().await.unwrap();
        }};
    }
    match coding {
        "gzip" => encode!(GzipEncoder),
        "deflate" => encode!(ZlibEncoder),
        "br" => encode!(BrotliEncoder),
        "zstd" => encode!(ZstdEncoder),
        other => panic!("{other}"),
    }
    out
}

fn coded(coding: &str, content: Vec<u8>) -> super::upstream::Answer {
    let mut answer = text(content);
    answer.headers_mut().insert("content-encoding", coding.parse().unwrap());
    answer
}

#[tokio::test]
async fn what_comes_encoded_all_the_same_is_decoded_and_scanned() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let content = encoded(coding, format!("you sent {SECRET}!").as_bytes()).await;
        let upstream = Upstream::start(move |_| coded(coding, content.clone())).await;
        let origin = upstream.origin();
        let response = send(&open(&[&origin]), &bearer(&origin), get(&origin)).await.unwrap();
        assert!(!response.headers().contains_key("content-encoding"));
        assert!(!response.headers().contains_key("content-length"));
        assert_eq!(read(response).await.unwrap(), "you sent [redacted]!", "{coding}");
    }
    let content = encoded("br", &encoded("gzip", b"twice").await).await;
    let upstream = Upstream::start(move |_| coded("gzip, br", content.clone())).await;
    let origin = upstream.origin();
    assert_eq!(read(send(&open(&[&origin]), &bearer(&origin), get(&origin)).await.unwrap()).await.unwrap(), "twice");
}

#[tokio::test]
async fn an_encoding_that_nobody_knows_or_that_is_none_is_an_error() {
    let upstream = Upstream::start(|seen| match seen.line.as_str() {
        "GET /unknown" => coded("rot13", b"frperg".to_vec()),
        _ => coded("gzip", b"not gzip at all".to_vec()),
    })
    .await;
    let origin = upstream.origin();
    let (egress, permit) = (open(&[&origin]), bearer(&origin));
    let error = send(&egress, &permit, get(&format!("{origin}/unknown"))).await.unwrap_err();
    assert_eq!(error, EgressError::Response { origin: origin.clone(), problem: "has an unknown content-encoding" });
    let response = send(&egress, &permit, get(&origin)).await.unwrap();
    let error = read(response).await.unwrap_err();
    assert_eq!(error, EgressError::Response { origin, problem: "is not encoded as it says" });
}

#[tokio::test]
async fn a_bomb_goes_off_in_nobodys_memory() {
    let bomb = encoded("gzip", &vec![0; 12 << 20]).await;
    assert!(bomb.len() < 20_000);
    let upstream = Upstream::start(move |_| coded("gzip", bomb.clone())).await;
    let origin = upstream.origin();
    let (egress, permit, call) = (open(&[&origin]), bearer(&origin), call());
    let response = egress.send(&permit, &call, get(&origin), Timeouts::default()).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert_eq!(error, EgressError::Budget { limit: "an answer's size over its compressed size", value: 100 });
    assert_eq!(call.exchanges()[0].error, Some(error.to_string()));
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_its_limit() {
    let upstream = Upstream::start(|_| {
        let pieces = futures_util::stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![b'x'; 1000]))));
        Response::new(StreamBody::new(pieces).boxed_unsync())
    })
    .await;
    let origin = upstream.origin();
    let (egress, permit) = (open(&[&origin]), bearer(&origin));
    let call = call_with(Limits { response_body: 50_000, ..Limits::default() });
    let response = egress.send(&permit, &call, get(&origin), Timeouts::default()).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert_eq!(error, EgressError::Budget { limit: "bytes of an answer's body", value: 50_000 });
    assert!(call.exchanges()[0].received > 50_000);
}

#[tokio::test]
async fn a_head_that_never_comes_and_a_body_that_stops_are_given_up() {
    // Says nothing on one path, half an answer on the other, and keeps the socket open.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 8];
            socket.read_exact(&mut head).await.unwrap();
            if &head == b"GET /hal" {
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
            }
            open.push(socket);
        }
    });
    let (egress, permit) = (open(&[&origin]), bearer(&origin));
    let short = Duration::from_millis(60);
    let timeouts = Timeouts { connect: Some(Duration::ZERO), first_byte: Some(short), between_bytes: None };
    let error = egress.send(&permit, &call(), get(&origin), timeouts).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { origin: origin.clone(), phase: Phase::FirstByte, after: short });

    let timeouts = Timeouts { between_bytes: Some(short), ..Timeouts::default() };
    let half = || get(&format!("{origin}/half"));
    let mut body = egress.send(&permit, &call(), half(), timeouts).await.unwrap().into_body().into_data_stream();
    assert_eq!(body.next().await, Some(Ok(Bytes::from_static(b"half"))));
    let error = body.next().await.unwrap().unwrap_err();
    assert_eq!(error, EgressError::Timeout { origin: origin.clone(), phase: Phase::BetweenBytes, after: short });
    assert!(body.next().await.is_none());

    let whole = Duration::from_millis(200);
    let [call, waiting] = [(); 2].map(|()| Arc::new(Call::new(Limits::default(), whole)));
    let mut body =
        egress.send(&permit, &call, half(), Timeouts::default()).await.unwrap().into_body().into_data_stream();
    assert_eq!(body.next().await, Some(Ok(Bytes::from_static(b"half"))));
    let error = body.next().await.unwrap().unwrap_err();
    assert!(matches!(error, EgressError::Timeout { phase: Phase::Call, after, .. } if after <= whole), "{error:?}");
    // It was made as early, and asked for nothing yet.
    egress.send(&permit, &waiting, half(), Timeouts::default()).await.unwrap();
    server.abort();
}

#[tokio::test]
async fn the_record_tells_what_was_sent_where() {
    let upstream = Upstream::start(|_| {
        let mut answer = text("four");
        *answer.status_mut() = StatusCode::CREATED;
        answer
    })
    .await;
    let origin = upstream.origin();
    let (egress, call) = (open(&[&origin]), call());
    let placements = vec![crate::model::authentication::Placement::PathPrefix("/bot{token}".into())];
    let permit = super::upstream::permit(&origin, placements);
    let request = http::Request::post(format!("{origin}/getMe?x=y")).body(super::upstream::body("abc")).unwrap();
    let response = egress.send(&permit, &call, request, Timeouts::default()).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "four");
    let [exchange] = &call.exchanges()[..] else { panic!("one exchange") };
    assert_eq!((exchange.method.as_str(), exchange.path.as_str()), ("POST", "/getMe"));
    assert_eq!(exchange.origin.as_ref().unwrap().to_string(), origin);
    assert_eq!((exchange.status, exchange.sent, exchange.received), (Some(201), 3, 4));
    assert_eq!((exchange.error.clone(), exchange.redacted), (None, false));
    assert!(!format!("{permit:?} {call:?} {egress:?}").contains(SECRET));
}
