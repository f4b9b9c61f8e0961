//! `turnbuckle events`

use axum::body::Body;
use futures_util::StreamExt as _;
use http::{HeaderValue, Response, header};
use turnbuckle::{Event, EventPage};

use crate::Session;
use crate::args::events::Events;
use crate::client::{Client, Document};
use crate::exit::Error;
use crate::output::Output;
use crate::show::events as show;

/// A line of a stream is never longer.
const LONGEST: usize = 1 << 20;

pub(crate) async fn run(events: Events, session: &Session) -> Result<(), Error> {
    let (client, output) = (session.client().await?, session.output);
    if events.follow { follow(events, &client, output).await } else { page(events, &client, output).await }
}

fn call<'a>(events: Events, client: &'a Client) -> crate::client::Call<'a> {
    let types = (!events.types.is_empty()).then(|| events.types.join(","));
    client
        .get(&["events"])
        .query("type", types)
        .query("connection", events.connection)
        .query("after", events.after)
        .query("limit", events.limit)
}

async fn page(events: Events, client: &Client, output: Output) -> Result<(), Error> {
    let document: Document<EventPage> = call(events, client).answer().await?;
    output.document(&document, show::page)?;
    if document.view.more && !output.is_json() {
        output.hint(&format!("there is more: --after {}", document.view.next));
    }
    Ok(())
}

/// One line for each event: what a script reads is the event as it came.
async fn follow(events: Events, client: &Client, output: Output) -> Result<(), Error> {
    if client.is_in_process() {
        return Err(Error::input_hint(
            "no server has this data directory open, so nothing happens there",
            "start one with `turnbuckle serve`, or leave --follow out to see what happened",
        ));
    }
    let stream = HeaderValue::from_static("text/event-stream");
    let response = call(events, client).header(header::ACCEPT, stream).accepted().await?;
    output.note("Following; Ctrl-C ends it.");
    let reached = read(response, output).await?;
    let hint = match reached {
        Some(reached) => format!("go on with `turnbuckle events --follow --after {reached}`"),
        None => "follow again".to_owned(),
    };
    Err(Error::Refused { message: "the server ended the stream".into(), hint: Some(hint) })
}

/// Shows what comes. Gives the number of the last event, for whoever wants to go on there.
async fn read(response: Response<Body>, output: Output) -> Result<Option<String>, Error> {
    let (mut chunks, mut text) = (response.into_body().into_data_stream(), Vec::new());
    let (mut reached, mut kind) = (None, String::new());
    while let Some(chunk) = chunks.next().await {
        // A server that was killed ends a stream in the middle: so be it.
        let Ok(chunk) = chunk else { break };
        text.extend_from_slice(&chunk);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => reached = Some(id.to_owned()),
                Some(("event", name)) => name.clone_into(&mut kind),
                Some(("data", words)) if kind == "problem" => {
                    return Err(Error::Refused { message: words.to_owned(), hint: None });
                }
                Some(("data", json)) => shown(json, output)?,
                Some(_) | None => {}
            }
        }
        if text.len() > LONGEST {
            return Err(anyhow::anyhow!("the server's answer is no stream of events").into());
        }
    }
    Ok(reached)
}

fn shown(json: &str, output: Output) -> Result<(), Error> {
    if output.is_json() {
        return output.data(json);
    }
    let event: Event = serde_json::from_str(json)
        .map_err(|error| anyhow::Error::from(error).context("the server speaks another version of this API"))?;
    output.data(&show::line_of(&event))
}
