//! What another version of a connector changes.

use std::collections::BTreeSet;

use crate::model::descriptor::Descriptor;

/// From one descriptor to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    pub(crate) origins_added: Vec<String>,
    pub(crate) origins_removed: Vec<String>,
    pub(crate) fields_added: Vec<String>,
    pub(crate) fields_removed: Vec<String>,
    pub(crate) protocols_removed: Vec<String>,
}

pub(crate) fn differences(old: &Descriptor, new: &Descriptor) -> Differences {
    let origins = |of: &Descriptor| of.origins.iter().cloned().collect::<BTreeSet<_>>();
    let protocols =
        |of: &Descriptor| of.protocols.iter().map(|protocol| protocol.name.clone()).collect::<BTreeSet<_>>();
    let (old_origins, new_origins) = (origins(old), origins(new));
    let (old_fields, new_fields) = (fields(old), fields(new));
    Differences {
        origins_added: new_origins.difference(&old_origins).cloned().collect(),
        origins_removed: old_origins.difference(&new_origins).cloned().collect(),
        fields_added: new_fields.difference(&old_fields).cloned().collect(),
        fields_removed: old_fields.difference(&new_fields).cloned().collect(),
        protocols_removed: protocols(old).difference(&protocols(new)).cloned().collect(),
    }
}

/// Settings by their name, fields of a protocol as `protocol.field`.
fn fields(descriptor: &Descriptor) -> BTreeSet<String> {
    let settings = descriptor.settings.iter().map(|field| field.name.clone());
    let others = descriptor
        .protocols
        .iter()
        .flat_map(|protocol| protocol.fields.iter().map(move |field| format!("{}.{}", protocol.name, field.name)));
    settings.chain(others).collect()
}
