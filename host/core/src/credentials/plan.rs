//! How a connection authenticates: asked of its connector, and judged before anybody acts on it.

use std::collections::BTreeMap;

use super::Credentials;
use crate::egress;
use crate::model::authentication::Authentication;
use crate::model::connector::Installed;
use crate::model::descriptor::{Descriptor, Field, FieldKind, Protocol};
use crate::model::error::Error;
use crate::model::verdict::FailureKind;
use crate::runtime::GuestConnection;

impl Credentials {
    /// Asks the connector how these settings authenticate, and judges the answer.
    pub(crate) async fn plan(
        &self,
        installed: &Installed,
        protocol: &Protocol,
        settings: &BTreeMap<String, String>,
    ) -> Result<Authentication, Error> {
        self.catalog.prepare(&installed.reference).await?;
        let guest = GuestConnection {
            protocol: protocol.name.clone(),
            settings: settings.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        };
        let answer = self.runtime.authenticate(&installed.reference.digest, &guest).await?.value;
        let plan = answer.map_err(|failure| match failure.kind {
            FailureKind::Misconfigured { field: Some(field) } => Error::field(field, failure.message),
            _ => Error::field("protocol", failure.message),
        })?;
        let (public, secret) = names(&installed.descriptor, protocol);
        let problems = egress::check_plan(&plan, &installed.descriptor.origins, &public, &secret, protocol.sign_in);
        if let Some(problem) = problems.first() {
            return Err(Error::Refused {
                rule: "plan",
                message: format!("the connector's way to authenticate is refused: {problem}"),
                hint: Some("this is a fault of the connector: tell its publisher".into()),
            });
        }
        Ok(plan)
    }
}

/// Names of the fields that are not secret, and of those that are.
fn names(descriptor: &Descriptor, protocol: &Protocol) -> (Vec<String>, Vec<String>) {
    let (secret, public): (Vec<_>, Vec<_>) =
        descriptor.fields(protocol).partition(|field| field.kind == FieldKind::Secret);
    let names = |fields: Vec<&Field>| fields.into_iter().map(|field| field.name.clone()).collect();
    (names(public), names(secret))
}
