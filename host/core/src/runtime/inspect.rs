//! Judges bytes before anything compiles or runs them.

use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use super::error::Refused;
use super::limits::Limits;
use crate::model::connector::Surface;

const IMPORTS: usize = 200;
const EXPORTS: usize = 100;
/// A guest in Python has about twenty.
const MODULES: usize = 200;

/// Packages that the host links whole, and how far their versions may differ.
const LINKED: &[(&str, &str)] = &[
    ("wasi:io/", "@0.2."),
    ("wasi:clocks/", "@0.2."),
    ("wasi:random/", "@0.2."),
    ("wasi:cli/", "@0.2."),
    ("wasi:filesystem/", "@0.2."),
    ("wasi:sockets/", "@0.2."),
    ("wasi:http/types", "@0.2."),
    ("wasi:http/outgoing-handler", "@0.2."),
    ("turnbuckle:connector/types", "@0.1."),
    ("turnbuckle:connector/keys", "@0.1."),
];

pub(super) fn inspect(bytes: &[u8], limits: &Limits) -> Result<Surface, Refused> {
    if bytes.len() > limits.component_bytes {
        return Err(Refused::TooLarge { bytes: bytes.len(), limit: limits.component_bytes });
    }
    if bytes.starts_with(b"\x7fELF") || wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(Refused::Precompiled);
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Refused::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(Refused::CoreModule);
    }
    let invalid = |error: wasmparser::BinaryReaderError| Refused::Invalid {
        message: error.message().chars().take(300).collect(),
        offset: error.offset(),
    };
    Validator::new_with_features(WasmFeatures::default()).validate_all(bytes).map_err(invalid)?;
    let surface = surface(bytes).map_err(invalid)??;
    for import in &surface.imports {
        judge_import(import)?;
    }
    if !surface.exports_interface("connector") || !surface.exports.iter().any(|name| compatible(name)) {
        let found = surface.exports.iter().find(|name| name.contains("connector/connector")).cloned();
        return Err(Refused::NoConnector { found });
    }
    Ok(surface)
}

fn compatible(export: &str) -> bool {
    export.starts_with("turnbuckle:connector/connector@0.1.")
}

fn judge_import(name: &str) -> Result<(), Refused> {
    if name.starts_with("wasi:") && name.contains("@0.3.") {
        return Err(Refused::Wasi03 { name: name.to_owned() });
    }
    let linked = LINKED.iter().any(|(interface, version)| {
        name.strip_prefix(interface).is_some_and(|rest| {
            if interface.ends_with('/') { rest.contains(version) } else { rest.starts_with(version) }
        })
    });
    if linked { Ok(()) } else { Err(Refused::UnknownImport { name: name.chars().take(200).collect() }) }
}

/// Reads what the outermost component imports and exports.
fn surface(bytes: &[u8]) -> Result<Result<Surface, Refused>, wasmparser::BinaryReaderError> {
    let mut surface = Surface::default();
    let mut depth = 0_usize;
    let mut modules = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                modules += usize::from(encoding == Encoding::Module);
            }
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    surface.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    surface.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name() == "producers" => {
                if let wasmparser::KnownCustom::Producers(fields) = section.as_known() {
                    producers(fields, &mut surface.producers);
                }
            }
            _ => {}
        }
    }
    let counts = [
        ("imports", surface.imports.len(), IMPORTS),
        ("exports", surface.exports.len(), EXPORTS),
        ("modules", modules, MODULES),
    ];
    for (what, count, limit) in counts {
        if count > limit {
            return Ok(Err(Refused::TooMany { what, count, limit }));
        }
    }
    Ok(Ok(surface))
}

/// Says which tools made it. It is only shown, so what can't be read is left out.
fn producers(fields: wasmparser::ProducersSectionReader<'_>, into: &mut Vec<String>) {
    for field in fields.into_iter().flatten() {
        for value in field.values.into_iter().flatten() {
            let tool = format!("{} {}", value.name, value.version).trim().chars().take(100).collect::<String>();
            if into.len() < 20 && !into.contains(&tool) {
                into.push(tool);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Refused {
        inspect(&wat::parse_str(text).unwrap(), &Limits::default()).unwrap_err()
    }

    #[test]
    fn what_is_not_a_component_is_told_apart() {
        let limits = Limits { component_bytes: 100, ..Limits::default() };
        assert_eq!(inspect(b"hello", &limits), Err(Refused::NotWasm));
        assert_eq!(inspect(b"", &limits), Err(Refused::NotWasm));
        assert_eq!(inspect(b"\x7fELF\x02\x01", &limits), Err(Refused::Precompiled));
        assert_eq!(inspect(&[0; 101], &limits), Err(Refused::TooLarge { bytes: 101, limit: 100 }));
        assert_eq!(refused("(module)"), Refused::CoreModule);
        assert!(matches!(inspect(b"\0asm\x0d\0\x01\0\xff\xff", &limits), Err(Refused::Invalid { .. })));
    }

    #[test]
    fn an_import_that_the_host_lacks_is_named() {
        let import = |name: &str| refused(&format!("(component (import \"{name}\" (instance)))"));
        assert_eq!(import("acme:bank/vault@1.0.0"), Refused::UnknownImport { name: "acme:bank/vault@1.0.0".into() });
        assert_eq!(import("wasi:http/types@0.3.0"), Refused::Wasi03 { name: "wasi:http/types@0.3.0".into() });
        assert_eq!(
            import("wasi:http/incoming-handler@0.2.0"),
            Refused::UnknownImport { name: "wasi:http/incoming-handler@0.2.0".into() }
        );
        assert_eq!(import("wasi:io/poll@0.2.3"), Refused::NoConnector { found: None });
    }

    #[test]
    fn a_connector_of_another_contract_is_refused_with_what_it_exports() {
        let export = "(component (instance $i) (export \"turnbuckle:connector/connector@0.9.0\" (instance $i)))";
        let found = Some("turnbuckle:connector/connector@0.9.0".to_owned());
        assert_eq!(refused(export), Refused::NoConnector { found });
    }
}
