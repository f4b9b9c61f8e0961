//! A socket to a server, for what no client of HTTP would send.
#![expect(clippy::disallowed_types, reason = "what is wrong on the wire is written there byte by byte")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How long an answer may take before a test gives up on it. Longer than the server's own patience, which some tests wait for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection, and nothing said on it yet.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
}

/// How the other side left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It said that nothing more comes.
    Closed,
    /// It dropped the connection.
    Reset,
    /// It did not, for as long as a test waits.
    Stayed,
}

impl Raw {
    /// To the server at this URL.
    ///
    /// # Panics
    /// Where nobody listens.
    pub fn to(url: &str) -> Self {
        Self::attempt(url).expect("somebody listens")
    }

    /// None where it is refused.
    pub fn attempt(url: &str) -> Option<Self> {
        let stream = TcpStream::connect(authority(url)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Some(Self { stream })
    }

    /// Sends bytes as they are. Says whether the other side still took them.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more comes.
    pub fn finish(&self) {
        drop(self.stream.shutdown(Shutdown::Write));
    }

    /// Everything that comes until the other side leaves, and how it does.
    pub fn rest(mut self) -> (String, Left) {
        let mut all = Vec::new();
        let mut buffer = [0; 16 << 10];
        let left = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break Left::Closed,
                Ok(read) => all.extend_from_slice(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    break Left::Stayed;
                }
                Err(_) => break Left::Reset,
            }
        };
        (String::from_utf8_lossy(&all).into_owned(), left)
    }

    /// One answer with a length, on a connection that goes on.
    pub fn answer(&mut self) -> String {
        let mut all = Vec::new();
        let mut byte = [0; 1];
        while !all.ends_with(b"\r\n\r\n") {
            assert!(matches!(self.stream.read(&mut byte), Ok(1)), "{}", String::from_utf8_lossy(&all));
            all.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&all).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.trim().parse().expect("a length"));
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a whole body");
        all.extend(body);
        String::from_utf8_lossy(&all).into_owned()
    }

    /// How the other side left, if it does so within this time. What comes meanwhile is dropped.
    pub fn left_within(&self, within: Duration) -> Option<Left> {
        self.stream.set_read_timeout(Some(within)).expect("a timeout");
        let left = self.left_so_far();
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        left
    }

    /// Whether the other side has left already. Waits for nothing.
    pub fn has_left(&self) -> Option<Left> {
        self.stream.set_nonblocking(true).expect("a socket");
        let left = self.left_so_far();
        self.stream.set_nonblocking(false).expect("a socket");
        left
    }

    fn left_so_far(&self) -> Option<Left> {
        let mut buffer = [0; 4096];
        loop {
            match (&self.stream).read(&mut buffer) {
                Ok(0) => return Some(Left::Closed),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
                Err(_) => return Some(Left::Reset),
            }
        }
    }
}

/// Host and port of a URL.
pub fn authority(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

/// Says all this at once and reads what comes until the server leaves.
pub fn exchange(url: &str, bytes: impl AsRef<[u8]>) -> (String, Left) {
    let mut raw = Raw::to(url);
    raw.say(bytes);
    raw.rest()
}

/// The statuses of all answers in what came.
pub fn statuses(said: &str) -> Vec<u16> {
    let begins = said.split("HTTP/1.").skip(1);
    begins.filter_map(|rest| rest.get(2..5)?.parse().ok()).collect()
}
