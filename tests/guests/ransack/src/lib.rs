//! Its `test` calls a service that echoes what it is sent, keeps the whole answer, and then searches all of its own memory, used
//! or not, for needles. They are given masked, so that it does not find what it was given.

use std::hint::black_box;
use std::ptr;

use guest_kit::{
    Connection, Descriptor, Failure, FailureKind, Field, FieldKind, Guest, Report, failure, field, http, report, setting,
};

/// Each byte of a needle is given with these bits turned, in hexadecimal.
const MASK: u8 = 0x55;
const PAGE: usize = 65_536;

struct Ransack;

impl Guest for Ransack {
    const NAME: &str = "ransack";

    fn describe() -> Descriptor {
        let mut descriptor = guest_kit::descriptor(Self::NAME);
        descriptor.settings.push(Field { required: true, ..field("needles", FieldKind::Text) });
        descriptor
    }

    fn test(connection: Connection) -> Result<Report, Failure> {
        let url = format!("{}{}", setting(&connection, "url"), setting(&connection, "path"));
        let answer = http::Request::new("GET", &url).send().map_err(|error| failure(FailureKind::Other, error))?;
        let needles: Vec<Vec<u8>> = setting(&connection, "needles").split(',').map(masked).collect();
        let found = needles.iter().enumerate().map(|(at, needle)| (at.to_string(), found(needle).to_string()));
        let mut discovered: Vec<_> = found.collect();
        discovered.push(("searched".into(), memory().to_string()));
        // Until here all of it is there to be found.
        black_box(&answer);
        Ok(Report { discovered, ..report("looked everywhere") })
    }
}

fn masked(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[pair.len() - 1])).collect()
}

/// All of it, in bytes.
fn memory() -> usize {
    core::arch::wasm32::memory_size(0) * PAGE
}

fn found(needle: &[u8]) -> usize {
    let end = memory().saturating_sub(needle.len());
    (1..end).filter(|at| needle.iter().enumerate().all(|(step, byte)| peek(at + step) ^ MASK == *byte)).count()
}

fn peek(address: usize) -> u8 {
    // Every address below the memory's size can be read; nobody else writes to it meanwhile.
    unsafe { ptr::read_volatile(ptr::with_exposed_provenance::<u8>(address)) }
}

guest_kit::guest!(Ransack);
