//! The host itself, as people read it.

use turnbuckle::Rotation;

use super::count;

pub(crate) fn rotated(rotation: &Rotation) -> String {
    format!(
        "The master key is now {}. The secrets of {} were sealed anew.",
        rotation.key,
        count(rotation.resealed, "connection")
    )
}
