//! `turnbuckle connector new`: a small crate that builds and passes its tests, to be changed from there.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::exit::Error;
use crate::output::Output;

const LIB: &str = include_str!("new/lib.rs.txt");
const ICON: &str = include_str!("new/icon.svg");

pub(super) fn run(name: &str, path: Option<PathBuf>, output: Output) -> Result<(), Error> {
    name.parse::<turnbuckle::ConnectorName>().map_err(|error| Error::input(error.to_string()))?;
    let folder = std::path::absolute(path.unwrap_or_else(|| name.into())).map_err(anyhow::Error::from)?;
    if folder.exists() {
        return Err(Error::Refused {
            message: format!("{} is there already", folder.display()),
            hint: Some("name another folder with --path".into()),
        });
    }
    for (file, text) in files(name, &folder)? {
        let file = folder.join(file);
        fs::create_dir_all(file.parent().unwrap_or(&folder))?;
        fs::write(file, text)?;
    }
    if output.is_json() {
        return output.json(&json!({"name": name, "path": folder}));
    }
    let shown = folder.display();
    output.data(&format!(
        "The connector {name} begins in {shown}.\n\nNext:\n  \
         cargo test --manifest-path {shown}/Cargo.toml\n  \
         turnbuckle connector build {shown} --out .\n  \
         turnbuckle connector install {name}.wasm"
    ))
}

fn files(name: &str, folder: &Path) -> Result<[(&'static str, String); 3], Error> {
    let label = words(name).join(" ");
    let lib = LIB.replace("{{name}}", name).replace("{{label}}", &label).replace("{{type}}", &words(name).concat());
    Ok([("Cargo.toml", manifest(name, folder)?), ("src/lib.rs", lib), ("icon.svg", ICON.into())])
}

/// Inside the workspace a connector is a member like the others; elsewhere it stands alone.
fn manifest(name: &str, folder: &Path) -> Result<String, Error> {
    let parent = folder.parent().unwrap_or(folder);
    let member = parent.ends_with("connectors") && parent.parent().is_some_and(|root| root.join("sdk/rust").is_dir());
    if member {
        return Ok(format!(
            "[package]\nname = \"turnbuckle-connector-{name}\"\nversion.workspace = true\nedition.workspace = true\n\
             rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\n\
             [lib]\ncrate-type = [\"cdylib\", \"lib\"]\n\n\
             [dependencies]\nturnbuckle-sdk.workspace = true\n\n[lints]\nworkspace = true\n"
        ));
    }
    let Some(sdk) = sdk() else {
        return Err(Error::NotFound {
            message: "the SDK is not on this machine".into(),
            hint: Some("run this in a clone of Turnbuckle; the SDK is its folder sdk/rust".into()),
        });
    };
    let sdk = toml::Value::String(sdk.display().to_string());
    Ok(format!(
        "[package]\nname = \"turnbuckle-connector-{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [lib]\ncrate-type = [\"cdylib\", \"lib\"]\n\n\
         [dependencies]\nturnbuckle-sdk = {{ path = {sdk} }}\n\n\
         [profile.release]\nopt-level = \"s\"\nlto = true\nstrip = true\n\n# It stands alone, whatever is around it.\n[workspace]\n"
    ))
}

/// The SDK of the workspace around us, or of the one that this program was built from.
fn sdk() -> Option<PathBuf> {
    crate::up::workspace().map(|root| root.join("sdk/rust")).filter(|sdk| sdk.is_dir())
}

/// `oci-registry` as `Oci` and `Registry`.
fn words(name: &str) -> Vec<String> {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    };
    name.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_label_and_a_type() {
        assert_eq!(words("oci-registry").concat(), "OciRegistry");
        assert_eq!(words("s3").join(" "), "S3");
    }

    #[test]
    fn a_crate_begins_with_nothing_left_to_fill_in() {
        let folder = tempfile::tempdir().unwrap();
        let [(_, manifest), (_, lib), _] = files("my-service", &folder.path().join("my-service")).unwrap();
        assert!(manifest.contains("name = \"turnbuckle-connector-my-service\""), "{manifest}");
        assert!(manifest.parse::<toml::Table>().unwrap().contains_key("workspace"));
        assert!(lib.contains("Descriptor::new(\"my-service\", env!(\"CARGO_PKG_VERSION\"), \"My Service\")"), "{lib}");
        assert!(!lib.contains("{{"), "{lib}");
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(crate::output::Format::Json);
        let error = run("http", Some(folder.path().to_owned()), output).unwrap_err();
        assert_eq!(error.exit().code(), 5);
        assert_eq!(run("Bad Name", None, output).unwrap_err().exit().code(), 2);
    }
}
