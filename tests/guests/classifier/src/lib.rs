//! Behaves, and classifies besides: a 200 whose body begins with `error` means that the credential was rejected.

use guest_kit::{Connection, Failure, FailureKind, Guest, failure};

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package guest:classifying;
            world classifying { export turnbuckle:connector/classifier@0.1.0; }
        ",
        world: "guest:classifying/classifying",
        with: {
            "turnbuckle:connector/types@0.1.0": guest_kit::bindings::turnbuckle::connector::types,
        },
        generate_all,
    });
}

use bindings::exports::turnbuckle::connector::classifier;

struct Classifier;

impl Guest for Classifier {
    const NAME: &str = "classifier";
}

impl classifier::Guest for Classifier {
    fn classify(_connection: Connection, response: classifier::Response) -> Option<Failure> {
        let words = response.body.strip_prefix(b"error")?;
        Some(failure(FailureKind::Unauthorized, String::from_utf8_lossy(words).trim()))
    }
}

guest_kit::guest!(Classifier);
bindings::export!(Classifier with_types_in bindings);
