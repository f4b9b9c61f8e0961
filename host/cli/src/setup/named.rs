//! `turnbuckle setup external-credential|principal|named-credential …`

use serde_json::{Value, json};
use turnbuckle::{AuthorizedPrincipal, CredentialProtocol, ExternalCredentialView, NamedCredentialView, PrincipalView};

use crate::Session;
use crate::args::connection::Fields;
use crate::args::named as args;
use crate::client::Document;
use crate::connection::authorize::{self, Listening};
use crate::connection::{put, read_secrets, settings};
use crate::exit::Error;
use crate::preview;
use crate::secret;
use crate::show::named as show;

pub(crate) async fn external_credential(verb: args::ExternalCredential, session: &Session) -> Result<(), Error> {
    let (client, output) = (session.client().await?, session.output);
    let path = ["setup", "external-credentials"];
    match verb {
        args::ExternalCredential::Put(args::PutExternalCredential { name, label, protocol, fields, asked }) => {
            let mut body = given(&fields)?;
            put(&mut body, "label", label);
            put(&mut body, "headers", headers(&protocol.header)?);
            put(&mut body, "protocol", protocol.protocol);
            let call = client.put(&[path[0], path[1], &name]).json(&body);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            let document: Document<ExternalCredentialView> = call.answer().await.map_err(see_protocols)?;
            output.document(&document, show::external)
        }
        args::ExternalCredential::List => {
            let document: Document<Vec<ExternalCredentialView>> = client.get(&path).answer().await?;
            output.document(&document, |views| show::externals(views))
        }
        args::ExternalCredential::Show { name } => {
            let document: Document<ExternalCredentialView> = client.get(&[path[0], path[1], &name]).answer().await?;
            output.document(&document, show::external)
        }
        args::ExternalCredential::Protocols => {
            let call = client.get(&["setup", "credential-protocols"]);
            let document: Document<Vec<CredentialProtocol>> = call.answer().await?;
            output.document(&document, |protocols| show::protocols(protocols))
        }
        args::ExternalCredential::Remove { name, asked } => {
            let call = client.delete(&[path[0], path[1], &name]);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            call.done().await?;
            output.done(&format!("The external credential {name} is removed."))
        }
    }
}

pub(crate) async fn principal(verb: args::Principal, session: &Session) -> Result<(), Error> {
    let output = session.output;
    let path = ["setup", "principals"];
    if let args::Principal::Authorize(authorize) = verb {
        return self::authorize(authorize, session).await;
    }
    let client = session.client().await?;
    match verb {
        args::Principal::Authorize(_) => Ok(()),
        args::Principal::Put(given) => {
            let mut body = self::given(&given.fields)?;
            put(&mut body, "label", given.label);
            put(&mut body, "external-credential", given.external_credential);
            put(&mut body, "kind", given.per_user.then_some("per-user"));
            let call = client.put(&[path[0], path[1], &given.name]).json(&body);
            if given.asked.dry_run {
                return preview::tell(call, output).await;
            }
            let document: Document<PrincipalView> = call.answer().await?;
            output.document(&document, show::principal)
        }
        args::Principal::List => {
            let document: Document<Vec<PrincipalView>> = client.get(&path).answer().await?;
            output.document(&document, |views| show::principals(views))
        }
        args::Principal::Show { name } => {
            let document: Document<PrincipalView> = client.get(&[path[0], path[1], &name]).answer().await?;
            output.document(&document, show::principal)
        }
        args::Principal::Remove { name, asked } => {
            let call = client.delete(&[path[0], path[1], &name]);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            call.done().await?;
            output.done(&format!("The principal {name} is removed, with what it held."))
        }
    }
}

pub(crate) async fn named_credential(verb: args::NamedCredential, session: &Session) -> Result<(), Error> {
    let (client, output) = (session.client().await?, session.output);
    let path = ["setup", "named-credentials"];
    match verb {
        args::NamedCredential::Put(given) => {
            let (name, asked) = (given.name.clone(), given.asked);
            let body = named_body(given)?;
            let call = client.put(&[path[0], path[1], &name]).json(&body);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            let document: Document<NamedCredentialView> = call.answer().await.map_err(see_protocols)?;
            output.document(&document, show::one)?;
            for warning in &document.view.warnings {
                output.warn(warning);
            }
            Ok(())
        }
        args::NamedCredential::List => {
            let document: Document<Vec<NamedCredentialView>> = client.get(&path).answer().await?;
            output.document(&document, |views| show::list(views))
        }
        args::NamedCredential::Show { name } => {
            let document: Document<NamedCredentialView> = client.get(&[path[0], path[1], &name]).answer().await?;
            output.document(&document, show::one)
        }
        args::NamedCredential::Remove { name, asked } => {
            let call = client.delete(&[path[0], path[1], &name]);
            if asked.dry_run {
                return preview::tell(call, output).await;
            }
            call.done().await?;
            output.done(&format!("The named credential {name} is removed. What it stood on stays."))
        }
    }
}

fn named_body(given: args::PutNamedCredential) -> Result<Value, Error> {
    let mut body = json!({"accept": given.accept});
    put(&mut body, "label", given.label);
    put(&mut body, "url", given.url);
    put(&mut body, "external-credential", given.external_credential);
    put(&mut body, "enabled", if given.switch.disable { Some(false) } else { given.switch.enable.then_some(true) });
    let args::Protocol { protocol, header } = given.protocol;
    let with_credential =
        protocol.is_some() || !header.is_empty() || !given.set.is_empty() || !given.secret.is_empty() || given.per_user;
    if with_credential {
        let mut credential = self::given(&Fields { set: given.set, secret: given.secret })?;
        put(&mut credential, "headers", headers(&header)?);
        put(&mut credential, "protocol", protocol);
        put(&mut credential, "kind", given.per_user.then_some("per-user"));
        body["credential"] = credential;
    }
    Ok(body)
}

/// Signs in as a principal, by a browser where that is how.
async fn authorize(given: args::Authorize, session: &Session) -> Result<(), Error> {
    let args::Authorize { name, browser, fields } = given;
    let output = session.output;
    let mut body = self::given(&fields)?;
    let reachable = authorize::reach(session).await?;
    let listening = Listening::begin().await?;
    put(&mut body, "loopback-port", Some(listening.port()));
    let call = reachable.client().post(&["setup", "principals", &name, "authorize"]).json(&body);
    let done = async {
        let begun: Document<AuthorizedPrincipal> = call.answer().await?;
        let Some(authorization) = &begun.view.authorization else { return Ok(begun.view.principal) };
        let again = format!("turnbuckle setup principal authorize {name}");
        let signed = listening.wait(authorization, &browser, &again, reachable.client(), output).await?;
        match signed.view.principal {
            Some(principal) if signed.view.replaced => Ok(principal),
            _ => Err(Error::NotPassed { message: signed.view.verdict.message, hint: signed.view.verdict.hint }),
        }
    }
    .await;
    reachable.end().await;
    let principal: PrincipalView = done?;
    output.document(
        &Document { json: serde_json::to_value(&principal).map_err(anyhow::Error::from)?, view: principal.clone() },
        show::principal,
    )?;
    match principal.authenticated {
        true => Ok(()),
        false => {
            let why = principal.problem.unwrap_or_else(|| "it is not signed in".into());
            Err(Error::NotPassed { message: format!("the principal {name} is not authenticated: {why}"), hint: None })
        }
    }
}

fn given(fields: &Fields) -> Result<Value, Error> {
    Ok(json!({"settings": settings(&fields.set)?, "secrets": secret::body(&read_secrets(&fields.secret)?)}))
}

/// `Name: value`, as curl takes it.
fn headers(given: &[String]) -> Result<Option<Value>, Error> {
    let header = |text: &String| match text.split_once(':') {
        Some((name, value)) => Ok(json!({"name": name.trim(), "value": value.trim()})),
        None => Err(Error::input(format!("`{text}` is no header; write 'Name: value'"))),
    };
    let headers: Vec<_> = given.iter().map(header).collect::<Result<_, _>>()?;
    Ok((!headers.is_empty()).then_some(Value::Array(headers)))
}

fn see_protocols(error: Error) -> Error {
    error.or_hint("see what each protocol is asked: `turnbuckle setup external-credential protocols`")
}
