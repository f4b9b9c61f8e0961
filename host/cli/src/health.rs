//! `turnbuckle health`

use turnbuckle::HealthReport;

use crate::Session;
use crate::args::Health;
use crate::client::Document;
use crate::exit::Error;
use crate::show::health as show;

pub(crate) async fn run(verb: Option<Health>, session: &Session) -> Result<(), Error> {
    let client = session.client().await?;
    let call = match verb {
        None => client.get(&["health"]),
        Some(Health::Pause) => client.post(&["health", "pause"]),
        Some(Health::Resume) => client.post(&["health", "resume"]),
    };
    let document: Document<HealthReport> = call.answer().await?;
    session.output.document(&document, show::report)
}
