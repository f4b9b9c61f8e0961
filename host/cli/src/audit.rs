//! `turnbuckle audit …`

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::Path;

use axum::body::Body;
use futures_util::StreamExt as _;
use http::Response;
use turnbuckle::{AuditRecord, AuditReport, Page};

use crate::Session;
use crate::args::audit::{List, Verb, Verify};
use crate::client::{Client, Document};
use crate::connection::more;
use crate::exit::Error;
use crate::output::Output;
use crate::show::audit as show;

pub(crate) async fn run(verb: Verb, session: &Session) -> Result<(), Error> {
    let output = session.output;
    match verb {
        Verb::List(list) => self::list(list, &session.client().await?, output).await,
        Verb::Verify(Verify { file: Some(file), known }) => {
            let report = of_file(&file, known)?;
            verified(&report, output, |output| output.json(&report))
        }
        Verb::Verify(Verify { file: None, known }) => {
            let client = session.client().await?;
            let document: Document<AuditReport> =
                client.get(&["audit", "verify"]).query("known", known).answer().await?;
            verified(&document.view, output, |output| output.json(&document.json))
        }
        Verb::Export { file } => {
            let response = session.client().await?.get(&["audit", "export"]).accepted().await?;
            export(response, file.as_deref(), output).await
        }
    }
}

async fn list(list: List, client: &Client, output: Output) -> Result<(), Error> {
    let call = client
        .get(&["audit"])
        .query("actor", list.actor)
        .query("action", list.action)
        .query("object", list.object)
        .query("since", list.since)
        .query("until", list.until)
        .query("outcome", list.outcome.map(|outcome| outcome.name()))
        .query("cursor", list.page.cursor)
        .query("limit", list.page.limit);
    let document: Document<Page<AuditRecord>> = call.answer().await?;
    output.document(&document, show::list)?;
    more(output, document.view.next.as_deref());
    Ok(())
}

fn of_file(file: &Path, known: Option<turnbuckle::AuditLink>) -> Result<AuditReport, Error> {
    let unreadable =
        |error: std::io::Error| Error::input(format!("the export {} can't be read: {error}", file.display()));
    let export = BufReader::new(File::open(file).map_err(unreadable)?);
    Ok(turnbuckle::verify_audit_export(export, known).map_err(unreadable)??)
}

/// A chain that is broken is a test that did not pass: the check itself ran, and was not refused.
fn verified(report: &AuditReport, output: Output, json: impl FnOnce(Output) -> Result<(), Error>) -> Result<(), Error> {
    if output.is_json() {
        json(output)?;
    } else {
        output.data(&show::report(report))?;
    }
    match &report.broken {
        None => Ok(()),
        Some(broken) => Err(Error::NotPassed {
            message: format!("the audit is not whole: {broken}"),
            hint: Some(format!(
                "what stands before record {} can be relied on; compare with an older export",
                broken.seq
            )),
        }),
    }
}

/// An export stands under its name when it is whole: what breaks off leaves nothing that looks like one.
async fn export(response: Response<Body>, file: Option<&Path>, output: Output) -> Result<(), Error> {
    let mut chunks = response.into_body().into_data_stream();
    let broke_off = |error| Error::from(anyhow::Error::from(error).context("the export broke off"));
    let Some(path) = file else {
        while let Some(chunk) = chunks.next().await {
            output.bytes(&chunk.map_err(broke_off)?)?;
        }
        return Ok(());
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    while let Some(chunk) = chunks.next().await {
        beside.write_all(&chunk.map_err(broke_off)?)?;
    }
    beside.as_file().sync_all()?;
    beside.persist_noclobber(path).map_err(|failed| match failed.error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Refused {
            message: format!("{} already exists", path.display()),
            hint: Some("name a file that is not there yet".into()),
        },
        _ => failed.error.into(),
    })?;
    output.done(&format!("The audit is exported to {}.", path.display()))
}
