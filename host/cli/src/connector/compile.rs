//! `turnbuckle connector build`, and the same for the bundled connectors.

use std::path::PathBuf;
use std::time::Duration;

use crate::build::{BuildError, Built, CrateError, Event, Request, RoadError, build, looked};
use crate::exit::Error;
use crate::output::Output;
use crate::progress::Work;
use crate::show::{count, size};

pub(super) async fn run(paths: Vec<PathBuf>, out: Option<PathBuf>, output: Output) -> Result<(), Error> {
    let built = compile(paths, out, output).await?;
    if output.is_json() {
        return output.json(&built);
    }
    let mut rows = crate::show::Rows::new(&["name", "size", "component"]);
    for each in &built {
        rows.row([&each.name, &size(each.bytes), &each.path.display().to_string()].map(crate::show::cell));
    }
    output.data(&rows.text())?;
    output.hint(&format!("install with `turnbuckle connector install {}`", shown(&built)));
    Ok(())
}

fn shown(built: &[Built]) -> String {
    match built {
        [only] => only.path.display().to_string(),
        _ => "FILE".into(),
    }
}

/// Compiles connectors, and says what is going on: the first time takes a minute or more.
pub(crate) async fn compile(paths: Vec<PathBuf>, out: Option<PathBuf>, output: Output) -> Result<Vec<Built>, Error> {
    let work = Work::begin(output, "looking for a compiler");
    let teller = work.clone();
    let request = Request { paths, out, target: None };
    let compiling = tokio::task::spawn_blocking(move || build(&request, &mut |event| tell(&teller, event)));
    match compiling.await.map_err(anyhow::Error::from)? {
        Ok((built, took)) => {
            work.done(&said(&built, took));
            Ok(built)
        }
        Err(error) => {
            work.gone();
            Err(failed(error, output))
        }
    }
}

fn tell(work: &Work, event: Event) {
    match event {
        Event::Road(road) => work.at(&format!("compiling with {road}")),
        Event::Adding => work.at("asking rustup for the target wasm32-wasip2"),
        Event::Installing { packages } => {
            work.at(&format!("this machine can't compile for WebAssembly yet; installing {packages} (about a minute)"));
        }
        Event::Waiting => work.at("waiting for another build in the same folder"),
        Event::Started { connectors, standard_library } => {
            let first = if standard_library { ", the standard library first: about a minute, once" } else { "" };
            work.at(&format!("compiling {}{first}", count(connectors as u64, "connector")));
        }
        // On plain lines each library would be noise; connectors are what people wait for.
        Event::Compiled { package, fresh: false } if package.starts_with("turnbuckle-connector-") => {
            work.at(&format!("compiled {package}"));
        }
        Event::Compiled { package, fresh: false } => work.tick(&format!("compiled {package}")),
        Event::Compiled { fresh: true, .. } => {}
    }
}

fn said(built: &[Built], took: Duration) -> String {
    let connectors = count(built.len() as u64, "connector");
    let seconds = took.as_secs_f64();
    if built.iter().all(|each| each.fresh) {
        format!("{connectors} compiled already, looked at in {seconds:.1} s")
    } else {
        format!("{connectors} compiled in {seconds:.1} s")
    }
}

fn failed(error: BuildError, output: Output) -> Error {
    let message = error.to_string();
    match error {
        BuildError::Crate(CrateError::NoCargo { .. }) | BuildError::Start { .. } => {
            Error::Lacking { message, hint: Some("a connector is compiled by cargo: https://rustup.rs".into()) }
        }
        BuildError::Crate(_) => Error::input_hint(message, "begin a connector with `turnbuckle connector new NAME`"),
        BuildError::Road(RoadError::Missing { hint }) => Error::Lacking { message, hint: Some(hint) },
        BuildError::Cargo { words, .. } => {
            // The compiler's own words, with its own layout.
            output.note(words.trim_end());
            Error::input(message)
        }
        BuildError::File { .. } => Error::Unexpected(error.into()),
    }
}

/// One folder's worth of what was built, for an install.
pub(crate) fn components(built: &[Built]) -> Vec<super::Component> {
    let component =
        |each: &Built| super::Component { name: each.name.clone(), path: each.path.clone(), size: each.bytes };
    built.iter().map(component).collect()
}

/// How this machine would compile, for `doctor`: only looked at, nothing is installed. Otherwise what would help.
pub(crate) fn road() -> Result<String, String> {
    match looked() {
        Ok(road) => Ok(format!("with {road}")),
        Err(RoadError::Missing { hint }) => Err(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_connector_is_said_to_be_compiled_already() {
        let built = |fresh| Built {
            package: "p".into(),
            name: "n".into(),
            path: "n.wasm".into(),
            bytes: 1,
            digest: String::new(),
            fresh,
        };
        let took = Duration::from_millis(1_440);
        assert_eq!(said(&[built(true)], took), "1 connector compiled already, looked at in 1.4 s");
        assert_eq!(said(&[built(true), built(false)], took), "2 connectors compiled in 1.4 s");
    }

    #[test]
    fn a_machine_without_a_compiler_says_the_command_that_helps() {
        let error = BuildError::Road(RoadError::Missing { hint: "rustup target add wasm32-wasip2".into() });
        let error = failed(error, Output::new(crate::output::Format::Table));
        assert_eq!((error.exit().code(), error.hints()), (1, vec!["rustup target add wasm32-wasip2".to_owned()]));
    }
}
