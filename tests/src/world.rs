//! A data directory of its own and the real binary working on it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::api::Api;
use crate::leaks;

/// How long a server may take to begin or to end before a test gives up on it: `up` builds connectors first.
const PATIENCE: Duration = Duration::from_secs(600);

/// A fresh machine, as far as Turnbuckle can tell: its data, its working directory, no settings from outside.
#[derive(Debug)]
pub struct World {
    binary: PathBuf,
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl World {
    /// A world for this binary, with nothing in it.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let folder = tempfile::Builder::new().prefix("turnbuckle-test-").tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("work")).expect("a working directory");
        Self { binary: binary.into(), folder, environment: Vec::new() }
    }

    /// A world whose operator lets connections reach these origins or networks.
    pub fn allowing<S: AsRef<str>>(binary: impl Into<PathBuf>, allow: &[S]) -> Self {
        let world = Self::new(binary);
        world.allow(allow);
        world
    }

    /// Writes the configuration anew, with these origins and networks opened.
    pub fn allow<S: AsRef<str>>(&self, allow: &[S]) {
        let listed: Vec<_> = allow.iter().map(|entry| format!("{:?}", entry.as_ref())).collect();
        self.configure(&format!("[egress]\nallow = [{}]\n", listed.join(", ")));
    }

    /// Writes `turnbuckle.toml`.
    pub fn configure(&self, text: &str) {
        fs::create_dir_all(self.data()).expect("the data directory");
        fs::write(self.data().join("turnbuckle.toml"), text).expect("the configuration");
    }

    /// Sets a variable for all that runs in this world from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The data directory; not there before something made it.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The directory that commands run in.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Writes a file into the working directory and says where.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        fs::write(&path, content).expect("a file in the working directory");
        path
    }

    /// The command, on this data directory.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = self.bare(&["--data"]);
        command.arg(self.data()).args(arguments);
        command
    }

    /// The command as it is typed, without a data directory.
    pub fn bare<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(self.work()).stdin(Stdio::null());
        // What a developer's shell sets must not change what a test sees.
        command.env_clear().env("HOME", self.work()).env("PATH", "/usr/bin:/bin").env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        Ran::of(&mut self.command(arguments), "")
    }

    /// Runs it to its end with this on its standard input.
    pub fn run_with<S: AsRef<OsStr>>(&self, input: &str, arguments: &[S]) -> Ran {
        Ran::of(&mut self.command(arguments), input)
    }

    /// Runs it with `--output json`, expects it to be done, and reads what it answered.
    pub fn json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Value {
        let mut command = self.command(&["--output", "json"]);
        command.args(arguments);
        Ran::of(&mut command, "").done().json()
    }

    /// Starts a server on a free port of loopback.
    pub fn serve(&self) -> Serving {
        Serving::start(self.command(&["serve", "--listen", "127.0.0.1:0"]), &self.data())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        leaks::none_below(&self.data());
    }
}

/// What a finished command left behind.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Runs a command to its end with this on its standard input.
    pub fn of(command: &mut Command, input: &str) -> Self {
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        if let Some(mut stdin) = child.stdin.take() {
            // A command that refuses its arguments does not read; that its end is closed then is no fault.
            drop(stdin.write_all(input.as_bytes()));
        }
        let output = child.wait_with_output().expect("the binary ends");
        leaks::none_in("standard output", &output.stdout);
        leaks::none_in("standard error", &output.stderr);
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }

    /// Expects exit code 0.
    #[track_caller]
    pub fn done(self) -> Self {
        self.ended(0)
    }

    /// Expects this exit code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    /// Expects these words on standard error.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.err.contains(words), "expected {words:?} on standard error:\n{}", self.err);
        self
    }

    /// Expects these words on standard output.
    #[track_caller]
    pub fn shows(self, words: &str) -> Self {
        assert!(self.out.contains(words), "expected {words:?} on standard output:\n{}", self.out);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err))
    }
}

/// A command that waits for something while a test reads what it says.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
    said: mpsc::Receiver<String>,
    readers: Vec<thread::JoinHandle<()>>,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
}

impl Waiting {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let (out, err) = (Arc::default(), Arc::default());
        let (lines, said) = mpsc::channel();
        let readers = vec![
            follow(child.stdout.take().expect("standard output is piped"), &out, None),
            follow(child.stderr.take().expect("standard error is piped"), &err, Some(lines)),
        ];
        Self { child, said, readers, out, err }
    }

    /// Waits for a line on standard error that begins so, blanks aside.
    pub fn line(&self, begin: &str) -> String {
        while let Ok(line) = self.said.recv_timeout(PATIENCE) {
            if line.trim_start().starts_with(begin) {
                return line.trim().to_owned();
            }
        }
        panic!("no line begins with {begin:?}:\n{}", self.err.lock().expect("no reader panics"));
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ran {
        let status = self.child.wait().expect("the binary ends");
        for reader in std::mem::take(&mut self.readers) {
            reader.join().expect("no reader panics");
        }
        let text = |printed: &Mutex<String>| {
            let text = printed.lock().expect("no reader panics").clone();
            leaks::none_in("what the command printed", text.as_bytes());
            text
        };
        Ran { code: status.code().unwrap_or(-1), out: text(&self.out), err: text(&self.err) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has ended already where its end was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    printed: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
    /// Where it listens, as in `http://127.0.0.1:1234`.
    pub url: String,
    /// The token of this run.
    pub token: String,
}

impl Serving {
    /// Starts a command that serves this data directory, and waits until it says on standard output that it does.
    pub fn start(mut command: Command, data: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let printed = Arc::new(Mutex::new(String::new()));
        let (ready, lines) = mpsc::channel();
        let out = child.stdout.take().expect("standard output is piped");
        let err = child.stderr.take().expect("standard error is piped");
        let readers = vec![follow(out, &printed, Some(ready)), follow(err, &printed, None)];
        let first = lines.recv_timeout(PATIENCE);
        let file = data.join("server.json");
        let Ok(text) = fs::read_to_string(&file) else {
            drop(child.kill());
            drop(child.wait());
            let printed = printed.lock().expect("no reader panics").clone();
            panic!("the server did not begin (first line {first:?}, no {}):\n{printed}", file.display());
        };
        let said: Value = serde_json::from_str(&text).expect("server.json is JSON");
        let of = |key: &str| said[key].as_str().unwrap_or_else(|| panic!("server.json has no `{key}`")).to_owned();
        Self { url: of("url"), token: of("token"), child, printed, readers }
    }

    /// A client that holds the token.
    pub fn api(&self) -> Api {
        Api::new(&self.url, Some(&self.token))
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and hands over everything that it printed.
    pub fn stop(mut self) -> String {
        self.end();
        self.printed.lock().expect("no reader panics").clone()
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        drop(self.child.kill());
        self.end();
    }

    /// Ends it as a fault of its own would, and says how the system saw that.
    pub fn abort(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::ABORT).expect("it runs");
        let status = self.child.wait().expect("it ends");
        self.end();
        status
    }

    /// Asks it to end, and starts another one on the same data.
    pub fn restart(&mut self, world: &World) {
        self.end();
        *self = world.serve();
    }

    /// Ends it as a power cut would, and starts another one on the same data.
    pub fn crash(&mut self, world: &World) {
        drop(self.child.kill());
        self.end();
        *self = world.serve();
    }

    fn end(&mut self) {
        let runs = matches!(self.child.try_wait(), Ok(None));
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        // The id of a process that is gone may be another's by now.
        if let Some(pid) = pid.filter(|_| runs) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        // Its pipes close when it ends; a server that does not end when asked is ended.
        let (closed, wait) = mpsc::channel();
        let readers = std::mem::take(&mut self.readers);
        thread::spawn(move || {
            for reader in readers {
                drop(reader.join());
            }
            closed.send(()).ok();
        });
        if wait.recv_timeout(PATIENCE).is_err() {
            drop(self.child.kill());
        }
        drop(self.child.wait());
        leaks::none_in("what the server printed", self.printed.lock().expect("no reader panics").as_bytes());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}

fn follow(
    from: impl Read + Send + 'static,
    printed: &Arc<Mutex<String>>,
    ready: Option<mpsc::Sender<String>>,
) -> thread::JoinHandle<()> {
    let printed = Arc::clone(printed);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut all = printed.lock().expect("no reader panics");
            all.push_str(&line);
            all.push('\n');
            if let Some(ready) = &ready {
                drop(ready.send(line));
            }
        }
    })
}

/// The folder that build results of this binary's build stand in.
pub fn target_of(binary: &Path) -> PathBuf {
    let profile = binary.parent().expect("a binary stands in a profile's folder");
    profile.parent().expect("a profile stands in a target folder").to_owned()
}
