//! Behaves, and signs besides: exports `signer`, imports `keys`, and puts `X-Signature` on each request.

use guest_kit::{Authentication, Connection, Descriptor, Failure, FailureKind, Guest, Placement};
use guest_kit::{descriptor, failure, place, protocol, required_secret};

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package guest:signing;
            world signing {
                import turnbuckle:connector/keys@0.1.0;
                export turnbuckle:connector/signer@0.1.0;
            }
        ",
        world: "guest:signing/signing",
        with: {
            "turnbuckle:connector/types@0.1.0": guest_kit::bindings::turnbuckle::connector::types,
        },
        generate_all,
    });
}

use bindings::exports::turnbuckle::connector::signer;
use bindings::turnbuckle::connector::keys;

struct Signer;

impl Guest for Signer {
    const NAME: &str = "signer";

    fn describe() -> Descriptor {
        let mut described = descriptor(Self::NAME);
        described.protocols = vec![protocol("signed", vec![required_secret("key")])];
        described
    }

    fn authenticate(_connection: Connection) -> Result<Authentication, Failure> {
        Ok(place(Placement::Signed))
    }
}

impl signer::Guest for Signer {
    fn sign(_connection: Connection, request: signer::Request) -> Result<Vec<(String, String)>, Failure> {
        let key = keys::open("{key}", keys::Encoding::Text)
            .ok_or_else(|| failure(FailureKind::Misconfigured(None), "the key does not open"))?;
        let message = format!("{} {} {}", request.method, request.url, request.timestamp);
        let signature = key.mac(keys::Hash::Sha256, message.as_bytes());
        let hex = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(vec![("X-Signature".into(), hex)])
    }
}

guest_kit::guest!(Signer);
bindings::export!(Signer with_types_in bindings);
