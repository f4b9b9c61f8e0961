//! `turnbuckle export` and `turnbuckle import`

use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};
use turnbuckle::{Definitions, ImportAction, ImportReport};

use crate::Session;
use crate::args::ImportArguments;
use crate::client::Document;
use crate::connection::read_secrets;
use crate::exit::Error;
use crate::secret;
use crate::show::upkeep as show;

pub(crate) async fn export(file: Option<&Path>, session: &Session) -> Result<(), Error> {
    let client = session.client().await?;
    let document: Document<Definitions> = client.get(&["host", "definitions"]).answer().await?;
    let text = match session.output.is_json() {
        true => serde_json::to_string_pretty(&document.json).map_err(anyhow::Error::from)?,
        false => toml::to_string_pretty(&document.view).map_err(anyhow::Error::from)?,
    };
    match file {
        Some(file) => {
            fs::write(file, text)
                .map_err(|error| Error::input(format!("{} can't be written: {error}", file.display())))?;
            session.output.note(&format!("Written to {}. No secret is in it.", file.display()));
            Ok(())
        }
        None => session.output.done(text.trim_end()),
    }
}

pub(crate) async fn import(given: ImportArguments, session: &Session) -> Result<(), Error> {
    let ImportArguments { file, dry_run, secret } = given;
    let definitions = read(&file)?;
    let secrets = secret::body(&read_secrets(&secret)?);
    let body = json!({"definitions": definitions, "secrets": secrets, "dry-run": dry_run});
    let client = session.client().await?;
    let document: Document<ImportReport> = client.post(&["host", "definitions"]).json(&body).answer().await?;
    session.output.document(&document, show::imported)?;
    let blocked = document.view.rows.iter().filter(|row| row.action == ImportAction::Blocked).count();
    match blocked {
        0 => Ok(()),
        1 => Err(Error::Refused { message: "one thing is blocked; the table says why".into(), hint: None }),
        more => Err(Error::Refused { message: format!("{more} things are blocked; the table says why"), hint: None }),
    }
}

/// TOML, or JSON as `export --output json` writes it.
fn read(file: &Path) -> Result<Value, Error> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map(drop),
        false => fs::read_to_string(file).map(|read| text = read),
    };
    read.map_err(|error| Error::input(format!("{} can't be read: {error}", file.display())))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| Error::input(format!("{}: {error}", file.display())));
    }
    toml::from_str(&text).map_err(|error| Error::input(format!("{}: {error}", file.display())))
}
