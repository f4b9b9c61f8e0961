//! Names and ids, checked once where they arrive.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is wrong with a name or an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{given}` {problem}")]
pub struct InvalidName {
    /// The kind of name, such as `connector name`.
    pub what: &'static str,
    /// What was given.
    pub given: String,
    /// Why it will not do, and what would.
    pub problem: &'static str,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(given: &str) -> Result<Self, InvalidName> {
                match $check(given) {
                    Ok(()) => Ok(Self(given.to_owned())),
                    Err(problem) => Err(InvalidName { what: $what, given: given.chars().take(80).collect(), problem }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(given: String) -> Result<Self, InvalidName> {
                given.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_type!(
    /// The name of a connector: kebab-case, at most 64 characters.
    ConnectorName, "connector name", kebab
);
text_type!(
    /// The SHA-256 of a component, in lower-case hexadecimal.
    Digest, "digest", sha256
);
text_type!(
    /// The embedder's own id of a flow.
    FlowId, "flow id", flow_id
);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(hex::encode(sha2::Sha256::digest(bytes)))
    }
}

/// The id of a connection: a UUID version 7, so ids sort by the time they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(Uuid);

impl ConnectionId {
    /// An id from its 16 bytes.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Its 16 bytes, which sort as the id does.
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for ConnectionId {
    type Err = InvalidName;
    fn from_str(given: &str) -> Result<Self, InvalidName> {
        Uuid::try_parse(given).map(Self).map_err(|_not_a_uuid| InvalidName {
            what: "connection id",
            given: given.chars().take(80).collect(),
            problem: "is not a UUID",
        })
    }
}

/// Whether this is lower-case kebab-case, as WIT writes names.
pub(crate) fn kebab(given: &str) -> Result<(), &'static str> {
    if given.is_empty() || given.len() > 64 {
        return Err("must have 1 to 64 characters");
    }
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    let mut words = given.split('-');
    let first = words.next().is_some_and(word);
    // Later words may begin with a digit: `s3`, but also `oauth-2`.
    let rest = words.all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    if first && rest { Ok(()) } else { Err("must be kebab-case: lower-case letters and digits, words joined by `-`") }
}

fn sha256(given: &str) -> Result<(), &'static str> {
    if given.len() == 64 && given.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        Ok(())
    } else {
        Err("must be 64 lower-case hexadecimal digits")
    }
}

fn flow_id(given: &str) -> Result<(), &'static str> {
    if given.is_empty() || given.len() > 128 {
        Err("must have 1 to 128 characters")
    } else if given.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
        Err("must not contain control characters or slashes")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connector_names_are_kebab_case() {
        for good in ["http", "oci-registry", "aws-s3", "a1", "oauth-2"] {
            assert_eq!(good.parse::<ConnectorName>().map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "Http", "1a", "a--b", "-a", "a-", "a_b", "../a", &"a".repeat(65)] {
            assert!(bad.parse::<ConnectorName>().is_err(), "{bad} should be refused");
        }
    }
}
