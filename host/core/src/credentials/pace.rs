//! What the host renews in a check that nobody asked for keeps to the limits of where it is renewed.
//!
//! A check goes to one place, and may find that its credential is to be had anew at another one. Whoever limits checks is asked
//! for leave then, and may say no: the check is put off, and says nothing of the connection.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use url::Url;

use super::{Credentials, Pinned, Unusable};
use crate::model::authentication::Request;
use crate::model::error::Error;
use crate::model::origin::Origin;
use crate::model::template::{Part, Template};

/// The rule that stands in an error where no leave was given.
const HELD: &str = "origin-limit";

/// Gives leave for a request to a place, or not.
#[derive(Clone)]
pub(crate) struct Pace(Arc<dyn Fn(String) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>);

impl Pace {
    pub(crate) fn new(leave: impl Fn(String) -> BoxFuture<'static, Result<(), Error>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(leave))
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pace")
    }
}

/// That a place is asked no more for now.
pub(crate) fn held(place: &str, why: &str) -> Error {
    Error::Refused { rule: HELD, message: format!("{place} is asked nothing more unasked for now: {why}"), hint: None }
}

/// Whether that is what stood against it.
pub(crate) fn is_held(error: &Error) -> bool {
    matches!(error, Error::Refused { rule: HELD, .. })
}

impl Credentials {
    /// The same credentials, for work that nobody asked for.
    pub(crate) fn paced(&self, pace: Pace) -> Self {
        Self { pace: Some(pace), ..self.clone() }
    }

    /// Whether renewals ask for leave.
    pub(crate) fn is_paced(&self) -> bool {
        self.pace.is_some()
    }

    /// Asks for leave, where a renewal is about to be sent.
    pub(super) async fn leave(&self, pinned: Pinned<'_>, seen: u64) -> Result<(), Unusable> {
        let Some(pace) = &self.pace else { return Ok(()) };
        let id = pinned.connection.id;
        let under_way = self.renewing.lock().expect("no holder of this lock panics").contains_key(&id);
        let stored = self.store.read(|reader| reader.credential(id)).map_err(Error::from)?;
        if under_way || stored.as_ref().map_or(0, |stored| stored.generation) != seen {
            return Ok(());
        }
        let grant = &pinned.connection.authentication.grant;
        let requests = if stored.is_some() { [&grant.refresh, &grant.token] } else { [&grant.token, &grant.refresh] };
        let first = requests.into_iter().flatten().next();
        let from = stored.and_then(|stored| stored.from);
        let place = from.or_else(|| origin(first?, &pinned.connection.settings));
        let place = place.map_or_else(|| pinned.connection.connector.name.to_string(), |origin| origin.to_string());
        Ok((pace.0)(place).await?)
    }
}

/// Where a request goes, as far as settings say it.
fn origin(request: &Request, settings: &BTreeMap<String, String>) -> Option<Origin> {
    let template = Template::parse(&request.url).ok()?;
    let expanded: String = template
        .parts()
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.as_str(),
            Part::Name(name) => settings.get(name).map_or("", String::as_str),
        })
        .collect();
    Origin::of(&expanded.parse::<Url>().ok()?)
}
