//! `turnbuckle setup …`

mod named;
mod users;
mod webhooks;

use serde_json::{Value, json};
use turnbuckle::IdentityProviderView;

use crate::Session;
use crate::args::setup::{IdentityProvider, Put, Verb};
use crate::client::Document;
use crate::connection::{put, settings};
use crate::exit::Error;
use crate::preview;
use crate::secret;
use crate::show::setup as show;

pub(crate) use users::whoami;

pub(crate) async fn run(verb: Verb, session: &Session) -> Result<(), Error> {
    match verb {
        Verb::IdentityProvider(verb) => identity_provider(verb, session).await,
        Verb::NamedCredential(verb) => named::named_credential(verb, session).await,
        Verb::ExternalCredential(verb) => named::external_credential(verb, session).await,
        Verb::Principal(verb) => named::principal(verb, session).await,
        Verb::PermissionSet(verb) => users::permission_set(verb, session).await,
        Verb::User(verb) => users::user(verb, session).await,
        Verb::Token(verb) => users::token(verb, session).await,
        Verb::Webhook(verb) => webhooks::webhook(verb, session).await,
    }
}

async fn identity_provider(verb: IdentityProvider, session: &Session) -> Result<(), Error> {
    let client = session.client().await?;
    let output = session.output;
    let path = ["setup", "identity-providers"];
    match verb {
        IdentityProvider::Put(given) => {
            let asked = given.asked;
            let (name, body) = body(given)?;
            let call = client.put(&[path[0], path[1], &name]).json(&body);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            let document: Document<IdentityProviderView> = call.answer().await?;
            output.document(&document, show::one)
        }
        IdentityProvider::List => {
            let document: Document<Vec<IdentityProviderView>> = client.get(&path).answer().await?;
            output.document(&document, |providers| show::list(providers))
        }
        IdentityProvider::Show { name } => {
            let document: Document<IdentityProviderView> = client.get(&[path[0], path[1], &name]).answer().await?;
            output.document(&document, show::one)
        }
        IdentityProvider::Remove { name, asked } => {
            let call = client.delete(&[path[0], path[1], &name]);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            call.done().await?;
            output.done(&format!("The identity provider {name} is removed."))
        }
    }
}

fn body(given: Put) -> Result<(String, Value), Error> {
    let Put { name, label, connector, protocol, client_id, set, secret, asked: _ } = given;
    let mut secrets = secret::read(&secret, crate::variable, std::io::stdin())?;
    let client_secret = secrets.remove("client-secret");
    if let Some(other) = secrets.keys().next() {
        return Err(Error::input(format!("an identity provider has no secret `{other}`; its one is `client-secret`")));
    }
    let mut body =
        json!({"connector": connector, "protocol": protocol, "client-id": client_id, "settings": settings(&set)?});
    put(&mut body, "label", label);
    put(&mut body, "client-secret", client_secret.as_ref().map(|secret| secret.expose()));
    Ok((name, body))
}
