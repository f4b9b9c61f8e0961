//! The two ways to a data directory: by the server that has it open, or by opening it in this process.

use std::path::PathBuf;

use http::StatusCode;
use turnbuckle::config::Config;
use turnbuckle::{Actor, Host, Secret};
use turnbuckle_server::{Access, RuntimeFile, router};
use url::Url;

use super::Client;
use super::wire::Wire;
use crate::exit::Error;

/// Who works on the data directory itself may do everything: the files are his.
const ACTOR: &str = "administrator";

/// A data directory, and where its configuration is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) data: PathBuf,
    pub(crate) config: Option<PathBuf>,
}

/// A server that has a data directory open.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) url: Url,
    pub(crate) token: Secret,
    pub(crate) pid: u32,
}

impl Place {
    /// What the operator set, checked whole.
    pub(crate) fn configuration(&self) -> Result<Config, Error> {
        let beside = self.data.join("turnbuckle.toml");
        let file = match &self.config {
            Some(file) => Some(file.as_path()),
            None if beside.is_file() => Some(beside.as_path()),
            None => None,
        };
        // A variable that is not text can't be one of ours.
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Config::load(file, variables)?)
    }

    /// Opens it in this process.
    pub(crate) async fn open(&self) -> Result<Host, Error> {
        Ok(Host::builder(&self.data).config(self.configuration()?).open().await?)
    }

    /// A client of the server that has it open, or of a host in this process.
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        match self.server().await? {
            Some(Running { url, token, .. }) => Client::remote(url, token),
            None => Ok(client_of(self.open().await?)),
        }
    }

    /// The server that has it open. A server that was killed leaves its file behind: that is no server.
    pub(crate) async fn server(&self) -> Result<Option<Running>, Error> {
        let Some(file) = RuntimeFile::read(&self.data) else {
            return Ok(None);
        };
        let Ok(url) = Url::parse(&file.url) else {
            return Ok(None);
        };
        if !lives(file.pid) || !answers(&url).await? {
            return Ok(None);
        }
        Ok(Some(Running { url, token: Secret::new(file.token), pid: file.pid }))
    }
}

/// A client of this host through the very router that a server would have.
pub(crate) fn client_of(host: Host) -> Client {
    let token = Access::new_token();
    let access = Access::new().token(&token, Actor::administrator(ACTOR)).host("localhost");
    Client::in_process(router(host, access), Secret::new(token))
}

fn lives(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    match rustix::process::test_kill_process(pid) {
        Ok(()) => true,
        // Somebody else's, but alive.
        Err(error) => error == rustix::io::Errno::PERM,
    }
}

async fn answers(url: &Url) -> Result<bool, Error> {
    let mut target = url.clone();
    target.set_path("/healthz");
    let mut request = http::Request::new(axum::body::Body::empty());
    *request.uri_mut() = target.as_str().parse().map_err(anyhow::Error::from)?;
    match Wire::new(url.clone())?.send(request).await {
        Ok(response) => Ok(response.status() == StatusCode::OK),
        Err(Error::Unreachable { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_of_a_server_that_is_gone_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let file = serde_json::json!({"url": url, "token": "t", "pid": std::process::id()});
        std::fs::write(folder.path().join("server.json"), file.to_string()).unwrap();
        let place = Place { data: folder.path().to_owned(), config: None };
        assert!(place.server().await.unwrap().is_none());
    }
}
