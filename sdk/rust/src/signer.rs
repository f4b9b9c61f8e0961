//! For services whose signature no placement can express.

pub use crate::bindings::signing::exports::turnbuckle::connector::signer::Request;
use crate::{Connection, Failure};

/// What a connector is besides where it signs by its own code: the placement
/// [`signed`](crate::Placement::signed). Exported by `export!(Example, signer)`.
///
/// ```
/// use turnbuckle_sdk::{Connection, Encoding, Failure, Signer, keys, signer};
///
/// struct Example;
///
/// impl Signer for Example {
///     fn sign(_connection: &Connection, request: &signer::Request) -> Result<Vec<(String, String)>, Failure> {
///         let key = keys::open("{signing-key}", Encoding::Text)
///             .ok_or_else(|| Failure::field("signing-key", "it does not open"))?;
///         let message = format!("{}\n{}\n{}", request.method, request.url, request.timestamp);
///         let signature = key.mac(keys::Hash::Sha256, message.as_bytes());
///         let hex = signature.iter().map(|byte| format!("{byte:02x}")).collect();
///         Ok(vec![("X-Timestamp".into(), request.timestamp.to_string()), ("X-Signature".into(), hex)])
///     }
/// }
/// ```
pub trait Signer {
    /// The headers that sign a request to a granted origin. Secrets that it carries are not in it, and [`keys`](crate::keys)
    /// work only here.
    ///
    /// # Errors
    /// Where it cannot be signed: the request is not sent.
    fn sign(connection: &Connection, request: &Request) -> Result<Vec<(String, String)>, Failure>;
}

impl Request {
    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
