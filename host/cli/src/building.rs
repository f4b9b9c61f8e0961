//! What a person sees of a build, and what becomes of its failures.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use crate::build::{self, BuildError, Event, Request, RoadError};
use crate::connector::Component;
use crate::exit::Error;
use crate::output::Output;
use crate::progress::Work;

/// Builds, and shows how far it is.
pub(crate) async fn built(paths: &[PathBuf], out: Option<&Path>, output: Output) -> Result<Vec<Component>, Error> {
    let request = Request { paths: paths.to_owned(), out: out.map(Path::to_owned), target: None };
    let (events, mut seen) = mpsc::unbounded_channel();
    let building = tokio::task::spawn_blocking(move || {
        // Nobody watches any more where sending fails; the build goes on.
        build::build(&request, &mut |event| drop(events.send(event)))
    });
    let work = Work::begin(output, "building connectors");
    let (mut compiled, mut road) = (0, String::new());
    while let Some(event) = seen.recv().await {
        match event {
            Event::Road(taken) => road = taken.to_string(),
            Event::Installing { packages } => work.at(&format!("installing {packages} (about half a minute, once)")),
            Event::Waiting => work.at("waiting for another build in the same folder"),
            Event::Started { connectors, standard_library } => {
                let first =
                    if standard_library { "; the standard library comes first, about a minute, once" } else { "" };
                work.at(&format!(
                    "compiling {connectors} connector{} with {road}{first}",
                    if connectors == 1 { "" } else { "s" }
                ));
            }
            Event::Compiled { fresh: true, .. } => {}
            Event::Compiled { package, fresh: false } => {
                compiled += 1;
                // Each library on a line of its own would be noise; connectors are what people wait for.
                if package.starts_with("turnbuckle-") {
                    work.at(&format!("compiled {package}"));
                }
            }
        }
    }
    let outcome = building.await.map_err(|panicked| Error::Unexpected(panicked.into()))?;
    let (built, took) = match outcome {
        Ok(done) => done,
        Err(error) => {
            work.gone();
            return Err(failed(error));
        }
    };
    let what = if compiled == 0 { "nothing had changed".to_owned() } else { format!("{:.1} s", took.as_secs_f64()) };
    work.done(&format!("built {} connector{} ({what})", built.len(), if built.len() == 1 { "" } else { "s" }));
    Ok(built.into_iter().map(|built| Component { path: built.path, size: built.bytes }).collect())
}

fn failed(error: BuildError) -> Error {
    let message = error.to_string();
    match error {
        BuildError::Crate(_) => {
            Error::Input { message, hint: Some("`turnbuckle connector new NAME` writes one to start from".into()) }
        }
        BuildError::Road(RoadError::Missing { hint }) => Error::Refused { message, hint: Some(hint) },
        BuildError::Cargo { words, .. } => {
            Error::Input { message: format!("{message}\n{}", words.trim_end()), hint: None }
        }
        BuildError::Start { .. } | BuildError::File { .. } => Error::Unexpected(error.into()),
    }
}
