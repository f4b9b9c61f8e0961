//! The way over the network. A command makes a handful of calls, so each has a connection of its own and there is no pool
//! to look after.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, Response};
use hyper_util::rt::TokioIo;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Url;

use crate::exit::Error;

const CONNECT: Duration = Duration::from_secs(5);

/// A server by its URL.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    base: Url,
}

impl Wire {
    pub(crate) fn new(base: Url) -> Result<Self, Error> {
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(Error::input(format!("--server must be an http or https URL, not `{base}`")));
        }
        Ok(Self { base })
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Whether a token sent this way can be read by others on the road.
    pub(crate) fn is_open_road(&self) -> bool {
        let loopback = match self.base.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.base.scheme() == "http" && !loopback
    }

    pub(crate) async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or(80);
        let authority = match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let value = HeaderValue::from_str(&authority).map_err(|error| self.unreachable(error.into()))?;
        request.headers_mut().insert(http::header::HOST, value);
        // HTTP/1 wants the path alone on the request line.
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = path.parse().map_err(|error: http::uri::InvalidUri| self.unreachable(error.into()))?;

        let address = (host.trim_start_matches('[').trim_end_matches(']'), port);
        let stream = match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.unreachable(error.into())),
            Err(_elapsed) => {
                let message = format!("nobody answered within {} seconds", CONNECT.as_secs());
                return Err(self.unreachable(anyhow::anyhow!(message)));
            }
        };
        if self.base.scheme() == "https" {
            let config =
                rustls::ClientConfig::with_platform_verifier().map_err(|error| self.unreachable(error.into()))?;
            let name = rustls::pki_types::ServerName::try_from(address.0.to_owned())
                .map_err(|error| self.unreachable(error.into()))?;
            let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await
                .map_err(|error| self.unreachable(error.into()))?;
            self.exchange(stream, request).await
        } else {
            self.exchange(stream, request).await
        }
    }

    async fn exchange<S>(&self, stream: S, request: Request<Body>) -> Result<Response<Body>, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(error.into()))?;
        // It ends by itself when the answer was read or dropped; what goes wrong on it is told by the answer.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| self.unreachable(error.into()))?;
        Ok(response.map(Body::new))
    }

    fn unreachable(&self, source: anyhow::Error) -> Error {
        Error::Unreachable { at: self.base.to_string(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_clear_is_noticed_only_off_this_machine() {
        let open = |url: &str| Wire::new(url.parse().unwrap()).unwrap().is_open_road();
        assert!(open("http://example.com"));
        for url in ["https://example.com", "http://localhost:7400", "http://127.0.0.1:7400", "http://[::1]:7400"] {
            assert!(!open(url), "{url}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_has_its_own_exit_code() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let error = Wire::new(url.parse().unwrap()).unwrap().send(Request::new(Body::empty())).await.unwrap_err();
        assert_eq!(error.exit().code(), 6);
        assert_eq!(error.to_string(), format!("the server at {url}/ can't be reached"));
    }
}
