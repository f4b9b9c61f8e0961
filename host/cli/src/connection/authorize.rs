//! A person agrees in a browser while the command waits.
//!
//! The command listens on a port of this machine's loopback. Whoever agrees is sent there at the end, with a receipt that
//! finishes the sign-in: so only a browser on this very machine can finish what was begun here.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use turnbuckle::{Authorization, ConnectionView, Reconnected, Secret};
use url::Url;

use crate::Session;
use crate::args::connection::Browser;
use crate::client::{Client, Document};
use crate::exit::Error;
use crate::output::Output;
use crate::progress::Work;

/// A little longer than a sign-in may take: the host says then that it is too late.
const PATIENCE: Duration = Duration::from_secs(11 * 60);
/// A request line with a receipt is short.
const REQUEST: usize = 8 * 1024;
const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Turnbuckle</title>\
<body style=\"font:1.05rem/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto;padding:0 1.5rem\">\
<h1 style=\"font-size:1.5rem\">Back to the command</h1><p>It says how it went. You can close this window.</p>";

/// A server that runs while a browser is away, where none ran before.
struct Reachable {
    client: Client,
    server: Option<(tokio::sync::oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Authorizes a connection, and gives it as it is then.
pub(super) async fn run(
    key: &str,
    browser: &Browser,
    reconnect: bool,
    accept_account: bool,
    session: &Session,
) -> Result<Document<Reconnected>, Error> {
    let reachable = reach(session).await?;
    let signed = sign_in(key, browser, reconnect, accept_account, &reachable.client, session.output).await;
    if let Some((stop, task)) = reachable.server {
        // Whoever listened is gone already.
        stop.send(()).ok();
        drop(task.await);
    }
    signed
}

/// The server that is meant; where none runs, one for as long as this takes.
async fn reach(session: &Session) -> Result<Reachable, Error> {
    if session.global.server.is_some() {
        return Ok(Reachable { client: session.client().await?, server: None });
    }
    if let Some(running) = session.place.server().await? {
        return Ok(Reachable { client: Client::remote(running.url, running.token)?, server: None });
    }
    let config = session.place.configuration()?;
    let host = session.place.open().await?;
    let server = crate::up::bind(host, config.listen, &config, &session.place.data).await?;
    let url = Url::parse(server.url()).map_err(anyhow::Error::from)?;
    let client = Client::remote(url, Secret::new(server.token()))?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(server.run(async move {
        // Stopped, or dropped by whoever would have stopped it.
        drop(stopped.await);
    }));
    Ok(Reachable { client, server: Some((stop, task)) })
}

async fn sign_in(
    key: &str,
    browser: &Browser,
    reconnect: bool,
    accept_account: bool,
    client: &Client,
    output: Output,
) -> Result<Document<Reconnected>, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let body = json!({"loopback-port": port, "reconnect": reconnect, "accept-account": accept_account});
    let call = client.post(&["connections", key, "authorize"]).json(&body);
    let begun: Document<Authorization> = call.answer().await?;
    let Authorization { url, redirect_uri, .. } = &begun.view;
    output.note(&format!("Authorize it in a browser on this machine, within ten minutes:\n\n  {url}\n"));
    output.hint(&format!("the service must know this redirect URI: {redirect_uri}"));
    if browser.open && !open(url) {
        output.warn("no browser could be opened; follow the link by hand");
    }
    let work = Work::begin(output, "waiting for the browser");
    let receipt = tokio::time::timeout(PATIENCE, receipt(&listener)).await;
    work.gone();
    match receipt {
        Ok(Ok(receipt)) => client.post(&["authorizations"]).json(&json!({"receipt": receipt})).answer().await,
        Ok(Err(words)) => Err(Error::NotPassed { message: words, hint: None }),
        Err(_elapsed) => Err(Error::NotPassed {
            message: "nobody came back from the browser in ten minutes".into(),
            hint: Some(format!("begin again: turnbuckle connection authorize '{key}'")),
        }),
    }
}

/// Waits for the browser. What else knocks at the port is answered and forgotten.
async fn receipt(listener: &TcpListener) -> Result<String, String> {
    loop {
        let Ok((stream, _peer)) = listener.accept().await else { continue };
        // One that says nothing must not keep the browser out.
        let asked = tokio::time::timeout(Duration::from_secs(5), asked(stream)).await;
        match asked {
            Ok(Some(Ok(receipt))) => return Ok(receipt),
            Ok(Some(Err(words))) => return Err(words),
            Ok(None) | Err(_) => {}
        }
    }
}

/// What one request brings: a receipt, why there is none, or nothing that is meant for us.
async fn asked(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<Result<String, String>> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(read) => request.extend_from_slice(&chunk[..read]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    let target = text.lines().next()?.strip_prefix("GET ")?.split(' ').next()?.to_owned();
    let url = Url::parse("http://127.0.0.1").ok()?.join(&target).ok()?;
    let found = url.query_pairs().find_map(|(name, value)| match &*name {
        "receipt" => Some(Ok(value.into_owned())),
        "error" => Some(Err(value.into_owned())),
        _ => None,
    });
    let (status, page) = if found.is_some() { ("200 OK", PAGE) } else { ("404 Not Found", "") };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\n\
         content-security-policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n{page}",
        page.len()
    );
    // A browser that is gone by now brought what it had to bring.
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
    found
}

/// Asks the desktop for its browser.
fn open(url: &str) -> bool {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}

/// Whether a person has to agree before a connection can do anything.
pub(super) fn waits(view: &ConnectionView) -> bool {
    view.enabled && !view.complete
}
