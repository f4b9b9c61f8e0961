//! `up` and `serve`: from a clone to a host that answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use turnbuckle::config::Config;
use turnbuckle::{CreatedToken, Host};
use turnbuckle_server::{ListenOptions, ServeError, Server};

use crate::Session;
use crate::args::Listen;
use crate::client::{Client, client_of};
use crate::connector::{Component, compile, components, install_all};
use crate::exit::Error;
use crate::output::Output;
use crate::show::connectors as show;

const PORT: u16 = 7400;
const CONNECTORS: &str = "connectors";

pub(crate) async fn up(listen: &Listen, session: &Session) -> Result<(), Error> {
    let output = session.output;
    not_elsewhere(session)?;
    // Whatever is wrong with the configuration is said before minutes go by.
    session.place.configuration()?;
    let components = match bundled() {
        Some(folder) => components(&compile(vec![folder], None, output).await?),
        None => {
            output.warn("the sources of the bundled connectors are not on this machine; none is installed");
            Vec::new()
        }
    };
    if let Some(server) = session.place.server().await? {
        let client = Client::remote(server.url.clone(), server.token)?;
        install(&components, &client, output).await?;
        let link = crate::console::link(&client).await?;
        return said(session, server.url.as_str().trim_end_matches('/'), &link, "is served already");
    }
    let host = session.place.open().await?;
    install(&components, &client_of(host.clone()), output).await?;
    listen_on(host, listen, session).await
}

pub(crate) async fn serve(listen: &Listen, session: &Session) -> Result<(), Error> {
    not_elsewhere(session)?;
    if let Some(server) = session.place.server().await? {
        return Err(Error::Refused {
            message: format!("{} is served already, at {}", session.place.data.display(), server.url),
            hint: Some(format!(
                "use that server, end the process {}, or name another directory with --data",
                server.pid
            )),
        });
    }
    listen_on(session.place.open().await?, listen, session).await
}

fn not_elsewhere(session: &Session) -> Result<(), Error> {
    match &session.global.server {
        None => Ok(()),
        Some(_) => Err(Error::input("a server is started on this machine; leave --server out")),
    }
}

async fn install(components: &[Component], client: &Client, output: Output) -> Result<(), Error> {
    for report in install_all(components, client, output).await? {
        output.note(&format!("{} {}", console::style("✓").for_stderr().green(), show::installed(&report.view)));
    }
    Ok(())
}

async fn listen_on(host: Host, listen: &Listen, session: &Session) -> Result<(), Error> {
    let config = session.place.configuration()?;
    let wanted = listen.listen.or(config.listen);
    let server = bind(host.clone(), wanted, &config, &session.place.data).await?;
    if wanted.is_some_and(|address| !address.ip().is_loopback()) {
        session.output.warn("others on the network reach this server, in the clear; put a proxy with TLS before it");
    }
    tell_first(&host, session).await?;
    // Before anybody hears that it is served: who hears it may end it at once.
    let asked = Asked::listen()?;
    said(session, server.url(), &server.link(), "is served")?;
    server.run(asked.ended()).await;
    session.output.note("ended");
    Ok(())
}

/// A host without an administrator gets one. Only once somebody listens: what is told here is told once.
async fn tell_first(host: &Host, session: &Session) -> Result<(), Error> {
    let Some(CreatedToken { token, view }) = host.first_administrator().await? else { return Ok(()) };
    let output = session.output;
    output.note(&format!("This host has an administrator now, `{}`, known by the token", view.user));
    output.note(&format!("\n  {}\n", token.expose()));
    output.hint(
        "keep it: it is shown this once. Commands on another machine take it with --server and TURNBUCKLE_TOKEN; those on this \
         data directory need none, and `turnbuckle setup token create` makes another",
    );
    Ok(())
}

/// Listens where it is asked to, else on the usual port or, where that is taken, on a free one.
pub(crate) async fn bind(
    host: Host,
    wanted: Option<SocketAddr>,
    config: &Config,
    data: &Path,
) -> Result<Server, Error> {
    let options = |address| ListenOptions {
        address,
        data: data.to_owned(),
        hosts: config.hosts.clone(),
        public_url: config.public_url.clone(),
        open_metrics: config.metrics.open,
        callers: config.limits.callers,
        patience: config.limits.caller_seconds.map(|seconds| Duration::from_secs(seconds.into())),
    };
    open_as_many_files_as_may_be();
    let server = match wanted {
        Some(address) => Server::bind(host, options(address)).await,
        None => match Server::bind(host.clone(), options(loopback(PORT))).await {
            // Nobody asked for this very port.
            Err(ServeError::PortInUse { .. }) => Server::bind(host, options(loopback(0))).await,
            bound => bound,
        },
    };
    server.map_err(refused)
}

/// Each caller has a socket, and the limit that programs begin with is meant for those that have few.
fn open_as_many_files_as_may_be() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn refused(error: ServeError) -> Error {
    match error {
        ServeError::PortInUse { .. } => Error::Refused {
            message: error.to_string(),
            hint: Some(
                "choose another address with --listen, or `listen` in turnbuckle.toml; port 0 takes a free one".into(),
            ),
        },
        ServeError::Address { .. } => Error::input_hint(error.to_string(), "choose another address with --listen"),
        other => Error::Unexpected(other.into()),
    }
}

/// One document for a script that waits for the server; for a person also what to try.
fn said(session: &Session, url: &str, link: &str, how: &str) -> Result<(), Error> {
    let data = session.place.data.display().to_string();
    if session.output.is_json() {
        return session
            .output
            .json(&json!({"url": url, "data": data, "openapi": format!("{url}/api/openapi.json"), "console": link}));
    }
    let at = match session.global.data {
        Some(_) => format!(" --data {}", quoted(&data)),
        None => String::new(),
    };
    let program = program();
    session.output.data(&format!(
        "\nTurnbuckle {how} at {url}\n\n  Console         {link}\n                  (works once, within ten minutes; `{program}{at} console` prints another)\n  \
         Data directory  {data}\n  API             {url}/api/openapi.json\n\n\
         Try in another terminal:\n  \
         {program}{at} connector list\n  \
         {program}{at} connector show http\n  \
         {program}{at} connection create --connector http --name \"My API\" --protocol none --set url=https://api.github.com\n  \
         {program}{at} connection send \"My API\" /zen\n\nCtrl-C ends it.\n"
    ))
}

/// What a person types to run this program: its name where the shell finds it, else its path.
fn program() -> String {
    let name = "turnbuckle";
    let Ok(own) = std::env::current_exe() else { return name.into() };
    let path = crate::variable("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    match found {
        Some(_) => name.into(),
        None => quoted(&own.display().to_string()),
    }
}

/// For a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(plain) { text.into() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Listens for whoever wants it to end.
struct Asked {
    interrupt: Signal,
    terminate: Signal,
}

impl Asked {
    fn listen() -> Result<Self, Error> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn ended(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn bundled() -> Option<PathBuf> {
    workspace().map(|root| root.join(CONNECTORS))
}

/// The workspace around us, or the one that this program was built from.
pub(crate) fn workspace() -> Option<PathBuf> {
    let here = std::env::current_dir().ok();
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut candidates = here.iter().flat_map(|here| here.ancestors()).chain(built_from.ancestors());
    candidates.find(|folder| is_workspace(folder)).map(Path::to_owned)
}

fn is_workspace(folder: &Path) -> bool {
    folder.join("wit/connector.wit").is_file() && folder.join(CONNECTORS).is_dir()
}

/// One of the bundled connectors, compiled.
pub(crate) async fn bundled_component(name: &str, output: Output) -> Result<Component, Error> {
    let Some(folder) = bundled() else {
        return Err(Error::NotFound {
            message: "the sources of the bundled connectors are not on this machine".into(),
            hint: Some("run this in a clone of Turnbuckle".into()),
        });
    };
    let built = compile(vec![folder.join(name)], None, output).await?;
    components(&built).pop().ok_or_else(|| Error::Unexpected(anyhow::anyhow!("building `{name}` gave no component")))
}
