//! The very command that people use, built beside the tests so that they can run it.

use std::io::Write as _;
use std::path::PathBuf;

use turnbuckle::config::Config;
use turnbuckle_server::{ListenOptions, Server};

/// Until the command is there: `--data DIR serve --listen ADDRESS` and no more.
#[tokio::main]
async fn main() {
    turnbuckle::compile_worker();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [data_flag, data, serve, listen_flag, address] = &arguments[..] else { panic!("{arguments:?}") };
    assert_eq!([data_flag.as_str(), serve, listen_flag], ["--data", "serve", "--listen"]);
    let data = PathBuf::from(data);
    let file = data.join("turnbuckle.toml");
    #[expect(clippy::disallowed_methods, reason = "this is where the process begins")]
    let config = Config::load(file.exists().then_some(file.as_path()), std::env::vars()).expect("a configuration");
    let host = turnbuckle::Host::builder(&data).config(config).open().await.expect("the host opens");
    let options = ListenOptions { address: address.parse().expect("an address"), data, hosts: Vec::new() };
    let server = Server::bind(host, options).await.expect("it listens");
    writeln!(std::io::stdout(), "{}", server.url()).expect("standard output is open");
    let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("a signal");
    server.run(async { drop(ended.recv().await) }).await;
}
