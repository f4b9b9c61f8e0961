//! `console`: a link that signs a browser in.

use serde::Deserialize;

use crate::Session;
use crate::client::Client;
use crate::exit::Error;

/// What the server answers.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Link {
    url: String,
    user: String,
}

/// A link from the server that this client talks to.
pub(crate) async fn link(client: &Client) -> Result<String, Error> {
    Ok(client.post(&["host", "console-link"]).answer::<Link>().await?.view.url)
}

/// Asks the running server for a link for whoever calls.
pub(crate) async fn run(session: &Session) -> Result<(), Error> {
    let answer = session.client().await?.post(&["host", "console-link"]).answer::<Link>().await?;
    if session.output.is_json() {
        return session.output.json(&answer.json);
    }
    let Link { url, user } = answer.view;
    session.output.data(&url)?;
    session.output.hint(&format!("open it in a browser: it signs in as `{user}`, once, within ten minutes"));
    Ok(())
}
