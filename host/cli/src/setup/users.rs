//! `turnbuckle setup permission-set|user|token …` and `turnbuckle whoami`

use serde_json::json;
use turnbuckle::{PermissionSet, TokenView, UserView, Whoami};

use crate::Session;
use crate::args::users as args;
use crate::client::Document;
use crate::connection::put;
use crate::exit::Error;
use crate::preview;
use crate::show::users as show;

pub(crate) async fn permission_set(verb: args::PermissionSet, session: &Session) -> Result<(), Error> {
    let (client, output) = (session.client().await?, session.output);
    let path = ["setup", "permission-sets"];
    match verb {
        args::PermissionSet::Put(args::PutPermissionSet {
            name,
            label,
            permission,
            principal,
            no_principal,
            asked,
        }) => {
            let mut body = json!({});
            put(&mut body, "label", label);
            put(&mut body, "permissions", (!permission.is_empty()).then_some(permission));
            put(&mut body, "principals", (no_principal || !principal.is_empty()).then_some(principal));
            let call = client.put(&[path[0], path[1], &name]).json(&body);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            let document: Document<PermissionSet> = call.answer().await?;
            output.document(&document, show::set)
        }
        args::PermissionSet::List => {
            let document: Document<Vec<PermissionSet>> = client.get(&path).answer().await?;
            output.document(&document, |sets| show::sets(sets))
        }
        args::PermissionSet::Show { name } => {
            let document: Document<PermissionSet> = client.get(&[path[0], path[1], &name]).answer().await?;
            output.document(&document, show::set)
        }
        args::PermissionSet::Remove { name, asked } => {
            let call = client.delete(&[path[0], path[1], &name]);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            call.done().await?;
            output.done(&format!("The permission set {name} is removed."))
        }
    }
}

pub(crate) async fn user(verb: args::User, session: &Session) -> Result<(), Error> {
    let (client, output) = (session.client().await?, session.output);
    let path = ["setup", "users"];
    match verb {
        args::User::Put(given) => {
            let mut body = json!({});
            put(&mut body, "label", given.label);
            let sets = (given.no_permission_set || !given.permission_set.is_empty()).then_some(given.permission_set);
            put(&mut body, "permission-sets", sets);
            put(&mut body, "enabled", if given.disable { Some(false) } else { given.enable.then_some(true) });
            let call = client.put(&[path[0], path[1], &given.name]).json(&body);
            if given.asked.dry_run {
                return preview::tell(call, output).await;
            }
            let document: Document<UserView> = call.answer().await?;
            output.document(&document, show::user)
        }
        args::User::List => {
            let document: Document<Vec<UserView>> = client.get(&path).answer().await?;
            output.document(&document, |users| show::users(users))
        }
        args::User::Show { name } => {
            let document: Document<UserView> = client.get(&[path[0], path[1], &name]).answer().await?;
            output.document(&document, show::user)
        }
        args::User::Remove { name, asked } => {
            let call = client.delete(&[path[0], path[1], &name]);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            call.done().await?;
            output.done(&format!("The user {name} is removed, with its tokens."))
        }
        args::User::Bind(args::Account { name, issuer, subject, account }) => {
            let mut body = json!({});
            for (field, value) in [("issuer", issuer), ("subject", subject), ("account", account)] {
                put(&mut body, field, value);
            }
            let path = [path[0], path[1], &name, "identities"];
            let document: Document<UserView> = client.post(&path).json(&body).answer().await?;
            output.document(&document, show::user)
        }
        args::User::Unbind(args::Account { name, issuer, subject, account }) => {
            let mut call = client.delete(&[path[0], path[1], &name, "identities"]);
            for (field, value) in [("issuer", &issuer), ("subject", &subject), ("account", &account)] {
                call = call.query(field, value.as_ref());
            }
            call.done().await?;
            output.done(&format!("The account signs {name} in no more."))
        }
    }
}

pub(crate) async fn token(verb: args::Token, session: &Session) -> Result<(), Error> {
    let (client, output) = (session.client().await?, session.output);
    let path = ["setup", "tokens"];
    match verb {
        args::Token::Create(args::CreateToken { name, user, permission, days }) => {
            let mut body = json!({"name": name, "user": user});
            put(&mut body, "permissions", (!permission.is_empty()).then_some(permission));
            put(&mut body, "days", days);
            let document: Document<show::Created> = client.post(&path).json(&body).answer().await?;
            output.document(&document, show::created)?;
            output.hint("keep it: it is shown this once and can't be looked up");
            Ok(())
        }
        args::Token::List => {
            let document: Document<Vec<TokenView>> = client.get(&path).answer().await?;
            output.document(&document, |tokens| show::tokens(tokens))
        }
        args::Token::Show { name } => {
            let document: Document<TokenView> = client.get(&[path[0], path[1], &name]).answer().await?;
            output.document(&document, show::token)
        }
        args::Token::Revoke { name } => {
            client.delete(&[path[0], path[1], &name]).done().await?;
            output.done(&format!("The token {name} is revoked: it opens nothing any more."))
        }
    }
}

pub(crate) async fn whoami(session: &Session) -> Result<(), Error> {
    let document: Document<Whoami> = session.client().await?.get(&["whoami"]).answer().await?;
    session.output.document(&document, show::whoami)
}
