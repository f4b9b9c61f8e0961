//! A guest's standard output and error: kept up to a limit, and never a reason to fail.
//!
//! wasmtime's own pipe ends a guest that writes past its capacity. A connector must not die because it said too much, so
//! this one goes on accepting and keeps the end, where the last words are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Shared by both streams of one guest.
#[derive(Clone)]
pub(super) struct Log {
    kept: Arc<Mutex<VecDeque<u8>>>,
    limit: usize,
}

impl Log {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: Arc::default(), limit }
    }

    /// What was said, fit for a terminal: control characters and directional overrides are written out.
    pub(super) fn text(&self) -> String {
        let kept: Vec<u8> = self.kept.lock().expect("no holder of this lock panics").iter().copied().collect();
        let mut text = String::with_capacity(kept.len());
        for c in String::from_utf8_lossy(&kept).chars() {
            let directional = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if c == '\n' || c == '\t' || !(c.is_control() || directional) {
                text.push(c);
            } else {
                text.extend(c.escape_unicode());
            }
        }
        text
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for this one, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Log {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let end = &bytes[bytes.len().saturating_sub(self.limit)..];
        let mut kept = self.kept.lock().expect("no holder of this lock panics");
        let over = (kept.len() + end.len()).saturating_sub(self.limit);
        kept.drain(..over);
        kept.extend(end);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Log {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_keeps_its_end_and_nothing_fails() {
        let log = Log::new(8);
        let mut stream = log.p2_stream();
        for _ in 0..1000 {
            stream.write(Bytes::from_static(b"abc\x1b[")).unwrap();
        }
        stream.write(Bytes::from_static(b"the end")).unwrap();
        assert_eq!(log.text(), "[the end");
    }

    #[test]
    fn what_could_play_with_a_terminal_is_written_out() {
        let log = Log::new(100);
        log.p2_stream().write(Bytes::from("a\x1b[2J\u{202e}b\n")).unwrap();
        assert_eq!(log.text(), "a\\u{1b}[2J\\u{202e}b\n");
    }
}
