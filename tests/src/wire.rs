//! A service on loopback that writes its answers itself, byte by byte: what no HTTP library would write.
#![expect(clippy::disallowed_types, reason = "it is asked; the one connection that it opens ends it")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A request's head, as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The path with its query.
    pub path: String,
    /// All of it, without the empty line at its end.
    pub head: String,
}

impl Asked {
    /// One header; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        let named = |line: &&str| line.split(':').next().is_some_and(|known| known.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    }
}

/// The client of one request.
#[derive(Debug)]
pub struct Client<'a> {
    stream: &'a mut TcpStream,
}

impl Client<'_> {
    /// Writes, and says whether anybody still takes it.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Waits so long for whatever the client sends, and says whether it is still there.
    pub fn is_there_after(&mut self, time: Duration) -> bool {
        if self.stream.set_read_timeout(Some(time)).is_err() {
            return false;
        }
        match self.stream.read(&mut [0; 4096]) {
            Ok(0) => false,
            Ok(_more) => true,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

type Answering = dyn Fn(&Asked, &mut Client<'_>) + Send + Sync;

/// The service. It ends when it is dropped.
pub struct Wire {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Wire").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Wire {
    /// Begins on a free port of 127.0.0.1. Each request has a connection of its own, which is closed behind the answer.
    pub fn start(answer: impl Fn(&Asked, &mut Client<'_>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (ended, open) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<TcpStream>>>::default());
        let thread = {
            let (ended, open, answer) = (Arc::clone(&ended), Arc::clone(&open), Arc::new(answer));
            thread::spawn(move || accept(&listener, &ended, &open, &(answer as Arc<Answering>)))
        };
        Self { address, ended, open, thread: Some(thread) }
    }

    /// Its origin, as in `http://127.0.0.1:1234`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // It waits for a connection; this is the last one.
        drop(TcpStream::connect(self.address));
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            drop(stream.shutdown(Shutdown::Both));
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn accept(listener: &TcpListener, ended: &AtomicBool, open: &Mutex<Vec<TcpStream>>, answer: &Arc<Answering>) {
    let mut serving = Vec::new();
    for stream in listener.incoming() {
        if ended.load(Ordering::SeqCst) {
            break;
        }
        let Ok(mut stream) = stream else { continue };
        let Ok(again) = stream.try_clone() else { continue };
        open.lock().unwrap_or_else(PoisonError::into_inner).push(again);
        let answer = Arc::clone(answer);
        serving.push(thread::spawn(move || {
            if let Some(asked) = read(&mut stream) {
                answer(&asked, &mut Client { stream: &mut stream });
            }
            drop(stream.shutdown(Shutdown::Both));
        }));
    }
    for stream in open.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        drop(stream.shutdown(Shutdown::Both));
    }
    for thread in serving {
        drop(thread.join());
    }
}

/// Reads a head, byte by byte: what stands behind it is nobody's business here.
fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 256 << 10 || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).trim_end().to_owned();
    let path = head.split(' ').nth(1)?.to_owned();
    Some(Asked { path, head })
}
