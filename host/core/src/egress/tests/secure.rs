//! TLS: whom the host trusts.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::super::{AllowList, Config, Egress, EgressError, Resolver};
use super::upstream::{bearer, get, read, send};

/// A server for `name` at a certificate authority of its own. Gives its port and the authority's certificate.
async fn serve(name: &str) -> (u16, String, tokio::task::JoinHandle<()>) {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            let mut head = [0; 4];
            socket.read_exact(&mut head).await.unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await.unwrap();
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
    assert_eq!(read(send(&egress(&[&root]), &bearer(&good), get(&good)).await.unwrap()).await.unwrap(), "ok");
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

#[test]
fn a_root_file_without_certificate_is_refused_by_number() {
    let config = Config { extra_roots: vec![b"nothing here".to_vec()], ..Config::default() };
    assert_eq!(Egress::new(config).unwrap_err().to_string(), "root certificate file 0 holds no usable certificate");
}
