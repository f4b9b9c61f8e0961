//! For services that tell failure otherwise than by status.

use crate::http::Response;
use crate::{Connection, Failure};

/// What a connector is besides where its service answers, say, 200 with an error. Exported by
/// `export!(Example, classifier)`.
///
/// ```
/// use turnbuckle_sdk::{Classifier, Connection, Failure, http::Response};
///
/// struct Example;
///
/// impl Classifier for Example {
///     fn classify(_connection: &Connection, response: &Response) -> Option<Failure> {
///         match response.text_at("/error")?.as_str() {
///             "invalid_auth" | "token_revoked" => Some(Failure::unauthorized("the token is not valid any more")),
///             other => Some(Failure::other(other)),
///         }
///     }
/// }
/// ```
pub trait Classifier {
    /// The failure that an answer to a request through the connection stands for; none: as the status says.
    ///
    /// The body is at most the first 16 KiB, so JSON that is longer does not parse; what was attached is taken out. There
    /// is no network.
    fn classify(connection: &Connection, response: &Response) -> Option<Failure>;
}
