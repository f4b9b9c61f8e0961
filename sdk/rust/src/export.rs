//! From a type that implements [`Connector`](crate::Connector) to the exports of a component.

use crate::bindings::classifying::exports::turnbuckle::connector::classifier;
use crate::http::Response;
use crate::{Classifier, Connection, Failure};

/// Makes a type the connector of this component; with `classifier` or `signer`, its [`Classifier`] or
/// [`Signer`](crate::Signer) besides. Natively, as in `cargo test`, it only checks that the type fits.
///
/// ```
/// # use turnbuckle_sdk::{Authentication, Classifier, Connection, Connector, Descriptor, Failure, Report, http::Response};
/// # struct Example;
/// # impl Connector for Example {
/// #     fn describe() -> Descriptor { Descriptor::new("example", "1.0.0", "Example") }
/// #     fn authenticate(_: &Connection) -> Result<Authentication, Failure> { Ok(Authentication::new()) }
/// #     fn test(_: &Connection) -> Result<Report, Failure> { Ok(Report::new("")) }
/// # }
/// # impl Classifier for Example {
/// #     fn classify(_: &Connection, _: &Response) -> Option<Failure> { None }
/// # }
/// turnbuckle_sdk::export!(Example, classifier);
/// ```
#[macro_export]
macro_rules! export {
    ($connector:ty $(, $power:ident)* $(,)?) => {
        const _: () = {
            struct Exported;

            impl $crate::bindings::exports::turnbuckle::connector::connector::Guest for Exported {
                fn describe() -> $crate::Descriptor {
                    $crate::log_panics();
                    <$connector as $crate::Connector>::describe()
                }

                fn authenticate(connection: $crate::Connection) -> Result<$crate::Authentication, $crate::Failure> {
                    $crate::log_panics();
                    <$connector as $crate::Connector>::authenticate(&connection)
                }

                fn test(connection: $crate::Connection) -> Result<$crate::Report, $crate::Failure> {
                    $crate::log_panics();
                    <$connector as $crate::Connector>::test(&connection)
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::export_connector!(Exported with_types_in $crate::bindings);
        };
        $($crate::export_power!($power, $connector);)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_power {
    (classifier, $connector:ty) => {
        const _: () = {
            struct Exported;

            impl $crate::bindings::classifying::exports::turnbuckle::connector::classifier::Guest for Exported {
                fn classify(
                    connection: $crate::Connection,
                    response: $crate::bindings::classifying::exports::turnbuckle::connector::classifier::Response,
                ) -> Option<$crate::Failure> {
                    $crate::log_panics();
                    $crate::classify::<$connector>(&connection, response)
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::classifying::export_classifier!(Exported with_types_in $crate::bindings::classifying);
        };
    };
    (signer, $connector:ty) => {
        const _: () = {
            struct Exported;

            impl $crate::bindings::signing::exports::turnbuckle::connector::signer::Guest for Exported {
                fn sign(
                    connection: $crate::Connection,
                    request: $crate::signer::Request,
                ) -> Result<Vec<(String, String)>, $crate::Failure> {
                    $crate::log_panics();
                    <$connector as $crate::Signer>::sign(&connection, &request)
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::signing::export_signer!(Exported with_types_in $crate::bindings::signing);
        };
    };
    ($other:ident, $connector:ty) => {
        compile_error!(concat!(
            "a connector may export `classifier` and `signer` besides, not `",
            stringify!($other),
            "`"
        ));
    };
}

#[doc(hidden)]
pub fn classify<C: Classifier>(connection: &Connection, response: classifier::Response) -> Option<Failure> {
    let classifier::Response { status, headers, body } = response;
    C::classify(connection, &Response { status, headers, body })
}

/// A panic's own words are the last ones in the log, on one line: that is the line that the host shows.
#[doc(hidden)]
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write as _;
        let words = panic.payload_as_str().unwrap_or("it panicked").replace('\n', " ");
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        // Without a log there is nobody to tell.
        drop(writeln!(std::io::stderr(), "{words}{place}"));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authentication, Connector, Descriptor, Encoding, Report, Signer, http, keys, signer, testing};

    struct Example;

    impl Connector for Example {
        fn describe() -> Descriptor {
            Descriptor::new("example", "1.0.0", "Example")
        }

        fn authenticate(_connection: &Connection) -> Result<Authentication, Failure> {
            Ok(Authentication::new())
        }

        fn test(_connection: &Connection) -> Result<Report, Failure> {
            Ok(Report::new(""))
        }
    }

    impl Classifier for Example {
        fn classify(_connection: &Connection, response: &Response) -> Option<Failure> {
            response.text_at("/error").map(|words| response.failure(Some(&words)))
        }
    }

    impl Signer for Example {
        fn sign(_connection: &Connection, request: &signer::Request) -> Result<Vec<(String, String)>, Failure> {
            let key = keys::open("{key}", Encoding::Text).ok_or_else(|| Failure::field("key", "it does not open"))?;
            let words = [request.body_sha256.as_slice(), request.header("x-date").unwrap_or_default().as_bytes()];
            Ok(vec![("X-Signature".to_owned(), hex::encode(key.mac(keys::Hash::Sha256, &words.concat())))])
        }
    }

    crate::export!(Example, classifier, signer);

    #[test]
    fn a_classifier_reads_an_answer_like_any_other() {
        let connection = testing::connection("token", &[]);
        let answer = |body: &[u8]| classifier::Response { status: 401, headers: Vec::new(), body: body.to_vec() };
        let failure = Failure::unauthorized("the service answered 401: gone");
        assert_eq!(classify::<Example>(&connection, answer(br#"{"error": "gone"}"#)), Some(failure));
        assert_eq!(classify::<Example>(&connection, answer(b"{}")), None);
    }

    #[test]
    fn a_signer_runs_natively_with_the_secrets_of_its_script() {
        let connection = testing::connection("signed", &[]);
        let request = testing::unsigned(http::get("https://a.example/").header("X-Date", "today"), 1_700_000_000);
        let script = testing::Script::new().secret("key", "hunter2");
        let (signed, _) = script.run(|| Example::sign(&connection, &request));
        let signature = "336c5142a94c75d8d47c9e6e4277d83157ba89cc9f61289bc11b6ded707db6a1";
        assert_eq!(signed, Ok(vec![("X-Signature".to_owned(), signature.to_owned())]));
        let (unsigned, _) = testing::Script::new().run(|| Example::sign(&connection, &request));
        assert_eq!(unsigned, Err(Failure::field("key", "it does not open")));
    }
}
