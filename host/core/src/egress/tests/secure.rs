//! TLS: whom the host trusts.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::super::{AllowList, Config, Egress, EgressError, Permit, Resolver, Values};
use super::upstream::{bearer, get, read, send};
use crate::model::authentication::{Authentication, Certificate, Placement};
use crate::model::outside::Outside;
use crate::model::secret::Secret;

/// A server for `name` at a certificate authority of its own. Gives its port and the authority's certificate. It answers with
/// the number of certificates that a client showed.
async fn serve(name: &str) -> (u16, String, tokio::task::JoinHandle<()>) {
    serve_to(name, None).await
}

async fn serve_to(name: &str, clients: Option<&str>) -> (u16, String, tokio::task::JoinHandle<()>) {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        Some(clients) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(clients.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let config =
        builder.with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let mut socket = match acceptor.accept(socket).into_fallible().await {
                Ok(socket) => socket,
                Err((_, mut socket)) => {
                    // What the client wrote meanwhile is read, so that the alert reaches it before the end does.
                    socket.shutdown().await.unwrap();
                    drop(socket.read_to_end(&mut Vec::new()).await);
                    continue;
                }
            };
            let mut head = [0; 4];
            socket.read_exact(&mut head).await.unwrap();
            let shown = socket.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n{shown}");
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    (port, authority.pem(), server)
}

fn egress(roots: &[&str]) -> Egress {
    let resolver: Resolver = Arc::new(|_| Box::pin(async { Ok(vec![[127, 0, 0, 1].into()]) }));
    let extra_roots = roots.iter().map(|pem| pem.as_bytes().to_vec()).collect();
    let allow = AllowList::new(vec!["127.0.0.0/8".parse().unwrap()]);
    Egress::with_resolver(Config { allow, extra_roots, ..Config::default() }, resolver).unwrap()
}

#[tokio::test]
async fn only_a_certificate_for_that_name_from_a_trusted_authority_is_good() {
    let (port, root, server) = serve("api.example.test").await;
    let at = |name: &str| format!("https://{name}:{port}");
    let good = at("api.example.test");
    assert_eq!(read(send(&egress(&[&root]), &bearer(&good), get(&good)).await.unwrap()).await.unwrap(), "0");
    let (_, other, other_server) = serve("other.example.test").await;
    let wrong = at("www.example.test");
    for (roots, origin) in [(&[other.as_str()][..], &good), (&[root.as_str()], &wrong)] {
        let error = send(&egress(roots), &bearer(origin), get(origin)).await.unwrap_err();
        let EgressError::Tls { origin: shown, reason } = &error else { panic!("{error:?}") };
        assert_eq!(shown, origin);
        assert!(reason.contains("certificate"), "{reason}");
    }
    server.abort();
    other_server.abort();
}

#[tokio::test]
async fn a_client_certificate_is_shown_by_its_connection_alone() {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["client".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let (port, root, server) = serve_to("api.example.test", Some(&authority.pem())).await;
    let origin = format!("https://api.example.test:{port}");
    let egress = egress(&[&root]);
    let permit = |pool_key: &str, placements| {
        let plan = Authentication { placements, ..Authentication::default() };
        let values = Values::new().public("chain", client.pem()).secret("key", Secret::new(key.serialize_pem()));
        let origins = std::slice::from_ref(&origin);
        Arc::new(Permit::resolve(pool_key.into(), origins, &plan, &values, &Outside::system()).unwrap())
    };
    let certificate = || Placement::ClientCertificate(Certificate { chain: "{chain}".into(), key: "{key}".into() });
    let known = permit("one", vec![certificate()]);
    // One connection with a certificate, without it, and once more: what is pooled for the one never serves the other.
    for (permit, known) in
        [(&known, true), (&permit("two", vec![]), false), (&permit("one", vec![]), false), (&known, true)]
    {
        match send(&egress, permit, get(&origin)).await {
            Ok(response) => assert_eq!((known, read(response).await.unwrap().as_str()), (true, "1")),
            Err(EgressError::Tls { origin: shown, reason }) => {
                assert_eq!((known, &shown), (false, &origin));
                assert_eq!(reason, "the server asks for a client certificate, and the connection has none");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    server.abort();
}

#[test]
fn a_root_file_without_certificate_is_refused_by_number() {
    let config = Config { extra_roots: vec![b"nothing here".to_vec()], ..Config::default() };
    assert_eq!(Egress::new(config).unwrap_err().to_string(), "root certificate file 0 holds no usable certificate");
}
