//! A client certificate (RFC 8446 section 4.4.2): who this host is to a server that asks.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use sha2::Digest as _;
use zeroize::Zeroizing;

use super::error::PermitError;
use super::expand::{self, Values};
use super::pem::{self, Block};
use crate::model::authentication::Certificate;

const PLACE: &str = "the client certificate";

/// A certificate and its key.
#[derive(Clone)]
pub(super) struct Identity {
    resolver: Arc<SingleCertAndKey>,
    fingerprint: [u8; 32],
}

impl Identity {
    /// None where neither part has a value.
    pub(super) fn resolve(plan: &Certificate, values: &Values) -> Result<Option<Self>, PermitError> {
        let text = |template: &str| -> Result<Option<Zeroizing<String>>, PermitError> {
            let Some(expanded) = expand::whole(template, values, PLACE)? else { return Ok(None) };
            match expanded.constant() {
                true => Ok(Some(expanded.text)),
                false => Err(PermitError::Plan { place: PLACE.to_owned(), problem: "cannot hold {uuid}" }),
            }
        };
        let bad_chain = |problem| expand::blame(&plan.chain, PLACE, problem);
        let bad_key = |problem| expand::blame(&plan.key, PLACE, problem);
        let (chain, key) = match (text(&plan.chain)?, text(&plan.key)?) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(bad_key("the certificate's private key is missing")),
            (None, Some(_)) => return Err(bad_chain("the private key's certificate is missing")),
            (Some(chain), Some(key)) => (chain, key),
        };
        let chain: Vec<CertificateDer<'static>> = pem::blocks(&chain)
            .map_err(bad_chain)?
            .into_iter()
            .filter(|block| block.label == "CERTIFICATE")
            .map(|block| block.der.to_vec().into())
            .collect();
        if chain.is_empty() {
            return Err(bad_chain("a certificate in PEM is expected, from `-----BEGIN CERTIFICATE-----` on"));
        }
        let block = pem::private_key(&key).map_err(bad_key)?;
        let key = block.as_ref().and_then(private_key);
        let key = key.ok_or_else(|| bad_key("a private key in PEM is expected (PKCS#8, PKCS#1 or SEC1)"))?;
        let mut hash = sha2::Sha256::new();
        chain.iter().for_each(|certificate| hash.update(certificate));
        let fingerprint = hash.finalize().into();
        let certified = CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider());
        match certified {
            Ok(certified) => Ok(Some(Self { resolver: Arc::new(certified.into()), fingerprint })),
            Err(rustls::Error::InconsistentKeys(_)) => Err(bad_key("it is not the key of the certificate")),
            Err(rustls::Error::InvalidCertificate(_)) => Err(bad_chain("its first certificate is none")),
            Err(_) => Err(bad_key("it is a private key of a kind that TLS does not use")),
        }
    }

    /// Tells certificates apart, so that no socket that was opened with one serves another.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        self.resolver.clone()
    }
}

fn private_key(block: &Block) -> Option<PrivateKeyDer<'static>> {
    let der = block.der.to_vec();
    match block.label.as_str() {
        "PRIVATE KEY" => Some(PrivatePkcs8KeyDer::from(der).into()),
        "RSA PRIVATE KEY" => Some(PrivatePkcs1KeyDer::from(der).into()),
        "EC PRIVATE KEY" => Some(PrivateSec1KeyDer::from(der).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn resolve(chain: Option<&str>, key: Option<&str>) -> Result<Option<Identity>, PermitError> {
        let plan = Certificate { chain: "{chain}".into(), key: "{key}".into() };
        let mut values = Values::new();
        if let Some(chain) = chain {
            values = values.public("chain", chain);
        }
        if let Some(key) = key {
            values = values.secret("key", Secret::new(key));
        }
        Identity::resolve(&plan, &values)
    }

    #[test]
    fn a_certificate_and_its_key_are_one_identity() {
        let own = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let (one, other) = (own("one"), own("other"));
        let (chain, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        let identity = resolve(Some(&chain), Some(&key)).unwrap().unwrap();
        let pasted = resolve(Some(&chain.replace('\n', "\\n")), Some(&key.replace('\n', " "))).unwrap().unwrap();
        assert_eq!(identity.fingerprint(), pasted.fingerprint());
        let next = resolve(Some(&other.cert.pem()), Some(&other.signing_key.serialize_pem())).unwrap().unwrap();
        assert_ne!(identity.fingerprint(), next.fingerprint());
        assert!(resolve(None, None).unwrap().is_none());

        for (chain, key, field, words) in [
            (
                Some(chain.as_str()),
                Some(other.signing_key.serialize_pem()),
                "key",
                "it is not the key of the certificate",
            ),
            (Some(&chain), Some("hunter2".into()), "key", "a private key in PEM is expected"),
            (Some(&chain), Some(chain.clone()), "key", "the private key is expected"),
            (Some(&chain), None, "key", "is missing"),
            (None, Some(key.clone()), "chain", "is missing"),
            (Some("hunter2"), Some(key.clone()), "chain", "a certificate in PEM is expected"),
            (Some(&key), Some(key.clone()), "chain", "a certificate in PEM is expected"),
            (Some(&chain[..100]), Some(key.clone()), "chain", "it is not whole"),
            (
                Some("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----"),
                Some(key.clone()),
                "chain",
                "its first certificate is none",
            ),
        ] {
            let error = resolve(chain, key.as_deref()).err().unwrap();
            assert_eq!(error.field(), Some(field), "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
