//! What a caller takes to be there when it changes something that others change too.

use super::error::Error;

/// What has to be there for a change to be made. Where it is something else, nothing is changed: whoever was first is not
/// overruled by somebody who has not seen it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expected {
    /// Anything, or nothing yet.
    #[default]
    Any,
    /// Nothing yet: it is added, and never changes what has its name already.
    Absent,
    /// Something, in whatever version.
    Present,
    /// This version of it.
    Version(u64),
}

impl Expected {
    /// Says what stands against a change, given the version that is there.
    pub(crate) fn met(self, kind: &'static str, name: &str, there: Option<u64>) -> Result<(), Error> {
        match (self, there) {
            (Self::Any, _) | (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(Error::Exists { kind, name: name.to_owned() }),
            (Self::Present | Self::Version(_), None) => Err(Error::not_found(kind, name)),
            (Self::Version(given), Some(current)) if given == current => Ok(()),
            (Self::Version(given), Some(current)) => Err(Error::Stale { kind, given, current }),
        }
    }

    /// The same of what is made or changed along with it: added where it is added.
    pub(crate) fn along(self) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Any | Self::Present | Self::Version(_) => Self::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_made_on_what_its_caller_saw_and_on_nothing_else() {
        let met = |expected: Expected, there| match expected.met("user", "ada", there) {
            Ok(()) => "made",
            Err(error) => error.code(),
        };
        for (expected, on_nothing, on_seven) in [
            (Expected::Any, "made", "made"),
            (Expected::Absent, "made", "exists"),
            (Expected::Present, "not-found", "made"),
            (Expected::Version(7), "not-found", "made"),
            (Expected::Version(6), "not-found", "stale"),
        ] {
            assert_eq!((met(expected, None), met(expected, Some(7))), (on_nothing, on_seven), "{expected:?}");
        }
    }
}
