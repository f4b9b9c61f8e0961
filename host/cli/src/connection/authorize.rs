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
use tokio::task::{JoinHandle, JoinSet};
use turnbuckle::{Authorization, ConnectionView, Reconnected, Secret, SignedIn};
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
/// Browsers open a few sockets ahead of their need.
const AT_ONCE: usize = 32;
const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Turnbuckle</title>\
<body style=\"font:1.05rem/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto;padding:0 1.5rem\">\
<h1 style=\"font-size:1.5rem\">Back to the command</h1><p>It says how it went. You can close this window.</p>";

/// A server that runs while a browser is away, where none ran before.
pub(crate) struct Reachable {
    client: Client,
    server: Option<(tokio::sync::oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Reachable {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Ends what was begun for this.
    pub(crate) async fn end(self) {
        if let Some((stop, task)) = self.server {
            // Whoever listened is gone already.
            stop.send(()).ok();
            drop(task.await);
        }
    }
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
    reachable.end().await;
    signed
}

/// The server that is meant; where none runs, one for as long as this takes.
pub(crate) async fn reach(session: &Session) -> Result<Reachable, Error> {
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
    let listening = Listening::begin().await?;
    let body = json!({"loopback-port": listening.port(), "reconnect": reconnect, "accept-account": accept_account});
    let call = client.post(&["connections", key, "authorize"]).json(&body);
    let begun: Document<Authorization> = call.answer().await?;
    let again = format!("turnbuckle connection authorize '{key}'");
    let signed = listening.wait(&begun.view, browser, &again, client, output).await?;
    let SignedIn { replaced, verdict, connection, .. } = signed.view;
    let connection = connection.ok_or_else(|| Error::input("another sign-in came back than the one that began"))?;
    Ok(Document { json: signed.json, view: Reconnected { replaced, verdict, connection } })
}

/// A port of this machine at which the browser ends up.
pub(crate) struct Listening {
    listener: TcpListener,
    port: u16,
}

impl Listening {
    pub(crate) async fn begin() -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sends a person to the browser, and waits for what comes of it. `again` is the command that begins anew.
    pub(crate) async fn wait(
        self,
        begun: &Authorization,
        browser: &Browser,
        again: &str,
        client: &Client,
        output: Output,
    ) -> Result<Document<SignedIn>, Error> {
        let Authorization { url, redirect_uri, .. } = begun;
        output.note(&format!("Authorize it in a browser on this machine, within ten minutes:\n\n  {url}\n"));
        output.hint(&format!("the service must know this redirect URI: {redirect_uri}"));
        if browser.open && !open(url) {
            output.warn("no browser could be opened; follow the link by hand");
        }
        let work = Work::begin(output, "waiting for the browser");
        // Words of a refusal come with the state, which no page knows that only guessed the port.
        let state = Url::parse(url).ok().and_then(|url| parameter(&url, "state"));
        let mut knocks = Knocks::at(self.listener);
        let heard = tokio::time::timeout(PATIENCE, async {
            loop {
                match knocks.next().await {
                    Knock::Receipt(receipt) => {
                        let finish = client.post(&["authorizations"]).json(&json!({"receipt": receipt}));
                        match finish.answer().await {
                            // Guessed, by whatever page of the browser: the one that is meant may still come.
                            Err(Error::Problem(problem)) if problem.code == "receipt" => {}
                            answer => return answer,
                        }
                    }
                    Knock::Refused { words, state: shown } if shown == state => {
                        return Err(Error::NotPassed { message: words, hint: None });
                    }
                    Knock::Refused { .. } => {}
                }
            }
        })
        .await;
        work.gone();
        heard.unwrap_or_else(|_elapsed| {
            Err(Error::NotPassed {
                message: "nobody came back from the browser in ten minutes".into(),
                hint: Some(format!("begin again: {again}")),
            })
        })
    }
}

/// What a request at the command's port brings.
enum Knock {
    /// What finishes the sign-in, if the host knows it.
    Receipt(String),
    /// Why there is none.
    Refused { words: String, state: Option<String> },
}

/// Requests at the command's port. They are read side by side, so one that says nothing does not keep the browser out.
struct Knocks {
    listener: TcpListener,
    reading: JoinSet<Option<Knock>>,
}

impl Knocks {
    fn at(listener: TcpListener) -> Self {
        Self { listener, reading: JoinSet::new() }
    }

    /// The next one that is meant for the command. What else knocks is answered and forgotten.
    async fn next(&mut self) -> Knock {
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if self.reading.len() < AT_ONCE => {
                    let Ok((stream, _peer)) = accepted else { continue };
                    self.reading.spawn(async move {
                        tokio::time::timeout(Duration::from_secs(5), asked(stream)).await.ok().flatten()
                    });
                }
                Some(read) = self.reading.join_next() => {
                    if let Ok(Some(knock)) = read {
                        return knock;
                    }
                }
            }
        }
    }
}

fn parameter(url: &Url, wanted: &str) -> Option<String> {
    url.query_pairs().find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
}

/// What one request brings, if it is meant for the command.
async fn asked(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<Knock> {
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
    let refused = || Some(Knock::Refused { words: parameter(&url, "error")?, state: parameter(&url, "state") });
    let found = parameter(&url, "receipt").map(Knock::Receipt).or_else(refused);
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
