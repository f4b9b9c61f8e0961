//! `turnbuckle setup webhook …`

use serde_json::json;
use turnbuckle::{DeliveryView, Page, Replayed, WebhookView};

use crate::Session;
use crate::args::events as args;
use crate::client::Document;
use crate::connection::{more, put};
use crate::exit::Error;
use crate::show::{count, events as show};

pub(crate) async fn webhook(verb: args::Webhook, session: &Session) -> Result<(), Error> {
    let (client, output) = (session.client().await?, session.output);
    let keep = "keep the secret: it is shown this once, and the receiver proves messages with it";
    match verb {
        args::Webhook::Put(given) => {
            let mut body = json!({});
            put(&mut body, "url", given.url);
            let types: Vec<_> = given.types.iter().filter(|name| *name != "all").cloned().collect();
            put(&mut body, "types", (!given.types.is_empty()).then_some(types));
            put(&mut body, "enabled", (given.enable || given.disable).then_some(given.enable));
            let call = client.put(&["webhooks", &given.name]).json(&body);
            let document: Document<show::Saved> = call.answer().await?;
            output.document(&document, show::saved)?;
            if document.view.is_new() {
                output.hint(keep);
            }
            Ok(())
        }
        args::Webhook::List => {
            let document: Document<Vec<WebhookView>> = client.get(&["webhooks"]).answer().await?;
            output.document(&document, |webhooks| show::webhooks(webhooks))
        }
        args::Webhook::Show { name } => {
            let document: Document<WebhookView> = client.get(&["webhooks", &name]).answer().await?;
            output.document(&document, show::webhook)
        }
        args::Webhook::Remove { name } => {
            client.delete(&["webhooks", &name]).done().await?;
            output.done(&format!("The webhook {name} is removed."))
        }
        args::Webhook::RotateSecret { name, overlap_hours } => {
            let mut body = json!({});
            put(&mut body, "overlap-hours", overlap_hours);
            let call = client.post(&["webhooks", &name, "rotate-secret"]).json(&body);
            let document: Document<show::Saved> = call.answer().await?;
            output.document(&document, show::saved)?;
            output.hint(keep);
            Ok(())
        }
        args::Webhook::Deliveries { name, state, page } => {
            let call = client
                .get(&["webhooks", &name, "deliveries"])
                .query("state", Some(state.name()))
                .query("cursor", page.cursor)
                .query("limit", page.limit);
            let document: Document<Page<DeliveryView>> = call.answer().await?;
            output.document(&document, show::deliveries)?;
            more(output, document.view.next.as_deref());
            Ok(())
        }
        args::Webhook::Replay { name, event, all: _ } => {
            let mut body = json!({});
            put(&mut body, "seq", event);
            let document: Document<Replayed> = client.post(&["webhooks", &name, "replay"]).json(&body).answer().await?;
            output.document(&document, |replayed| {
                let tried = count(replayed.replayed, "event");
                match replayed.left {
                    0 => format!("{tried} will be delivered again."),
                    left => format!("{tried} will be delivered again; {left} given up before stay so."),
                }
            })
        }
    }
}
