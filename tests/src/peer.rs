//! Programs that nobody here wrote, run on loopback while a test lasts.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A running program. It ends when this is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    /// The line by which it said that it is ready.
    pub ready: String,
}

impl Peer {
    /// Starts it and waits for a line of its output that has these words.
    pub fn start(command: &mut Command, words: &str, patience: Duration) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let (lines, said) = mpsc::channel();
        follow(child.stdout.take().expect("standard output is piped"), lines.clone());
        follow(child.stderr.take().expect("standard error is piped"), lines);
        let mut peer = Self { child, ready: String::new() };
        let mut all = Vec::new();
        // Each line restarts the clock: a program that still says something is alive.
        while let Ok(line) = said.recv_timeout(patience) {
            if line.contains(words) {
                peer.ready = line;
                return peer;
            }
            all.push(line);
        }
        panic!("{command:?} was not ready in {patience:?}:\n{}", all.join("\n"));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn follow(from: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // Whoever listened has heard enough; the pipe is still emptied.
            lines.send(line).ok();
        }
    });
}

/// Where a program is, if this machine has it.
pub fn program(name: &str) -> Option<PathBuf> {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}
