//! `turnbuckle connector install` and `check`.

use std::path::{Path, PathBuf};

use axum::body::Body;
use serde_json::Value;
use turnbuckle::{CheckReport, InstallReport};

use crate::Session;
use crate::client::{Call, Client, Document};
use crate::exit::Error;
use crate::output::Output;
use crate::progress::{Work, chunks};
use crate::show::connectors as show;

const WASM: &str = "application/wasm";

/// A component on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    /// What it is called while it is at work: the connector's name where that is known, or the file's.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
}

pub(crate) async fn run(files: &[PathBuf], session: &Session) -> Result<(), Error> {
    let components = components(files)?;
    let one = matches!(files, [only] if only.is_file());
    let client = session.client().await?;
    let reports = install_all(&components, &client, session.output).await?;
    if session.output.is_json() {
        let mut documents: Vec<Value> = reports.into_iter().map(|report| report.json).collect();
        match documents.pop() {
            // One file has the API's own answer, several have a list of them.
            Some(only) if one => session.output.json(&only),
            last => {
                documents.extend(last);
                session.output.json(&documents)
            }
        }
    } else {
        let lines: Vec<_> = reports.iter().map(|report| show::installed(&report.view)).collect();
        session.output.data(&lines.join("\n"))
    }
}

/// Installs one after the other and stops at the first that is refused.
pub(crate) async fn install_all(
    components: &[Component],
    client: &Client,
    output: Output,
) -> Result<Vec<Document<InstallReport>>, Error> {
    let mut reports = Vec::with_capacity(components.len());
    for component in components {
        let work = Work::on_bytes(output, &format!("installing {}", component.name), component.size);
        match upload(component, client.post(&["connectors"]), &work).await?.answer().await {
            Ok(report) => {
                work.gone();
                reports.push(report);
            }
            Err(error) => {
                work.gone();
                output.note(&format!("{} is not installed", component.path.display()));
                return Err(error);
            }
        }
    }
    Ok(reports)
}

pub(crate) async fn check(file: &Path, client: &Client, output: Output) -> Result<(), Error> {
    let component = component(file)?;
    let work = Work::on_bytes(output, &format!("checking {}", file.display()), component.size);
    let answer = upload(&component, client.post(&["connectors", "check"]), &work).await?.answer().await;
    work.gone();
    let document: Document<CheckReport> = answer?;
    output.document(&document, show::checked)
}

async fn upload<'a>(component: &Component, call: Call<'a>, work: &Work) -> Result<Call<'a>, Error> {
    let file = tokio::fs::File::open(&component.path).await;
    let file = file.map_err(|error| Error::input(format!("{} can't be read: {error}", component.path.display())))?;
    let counter = work.clone();
    Ok(call.body(WASM, Body::from_stream(chunks(file, move |bytes| counter.add(bytes)))))
}

fn component(path: &Path) -> Result<Component, Error> {
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Component { name, path: path.to_owned(), size: file.len() })
        }
        Ok(_) => Err(Error::input(format!("{} is not a file", path.display()))),
        Err(error) => Err(Error::input_hint(
            format!("{} can't be read: {error}", path.display()),
            "compile a connector with `turnbuckle connector build FOLDER --out .`",
        )),
    }
}

/// Files as they are named, folders by the components in them.
fn components(files: &[PathBuf]) -> Result<Vec<Component>, Error> {
    let mut found = Vec::new();
    for path in files {
        if !path.is_dir() {
            found.push(component(path)?);
            continue;
        }
        let entries = std::fs::read_dir(path)
            .map_err(|error| Error::input(format!("the folder {} can't be read: {error}", path.display())))?;
        let mut inside: Vec<_> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "wasm"))
            .collect();
        if inside.is_empty() {
            return Err(Error::input_hint(
                format!("there is no .wasm file in {}", path.display()),
                format!("compile a connector with `turnbuckle connector build {}`", path.display()),
            ));
        }
        inside.sort();
        for path in &inside {
            found.push(component(path)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_components_in_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.wasm", "a.wasm", "readme.md"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let found = components(&[folder.path().to_owned()]).unwrap();
        let names: Vec<_> = found.iter().map(|each| each.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.wasm", "b.wasm"]);
        assert_eq!(found[0].size, 6);
    }

    #[test]
    fn what_is_not_there_is_bad_input_with_a_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let empty = components(&[folder.path().to_owned()]).unwrap_err();
        let missing = components(&[folder.path().join("x.wasm")]).unwrap_err();
        assert_eq!((empty.exit().code(), missing.exit().code()), (2, 2));
        assert_eq!((empty.hints().len(), missing.hints().len()), (1, 1));
    }
}
