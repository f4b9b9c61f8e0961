//! Its `test` looks for whatever it can reach besides `wasi:http` and shows all of it in `discovered`.

use std::io::Read as _;

use guest_kit::{Connection, Failure, Guest, Report, report};
use wasip2::filesystem::preopens;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Network};
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

struct LeakProbe;

impl Guest for LeakProbe {
    const NAME: &str = "leak-probe";

    fn test(connection: Connection) -> Result<Report, Failure> {
        let mut found: Vec<(String, String)> = vec![("protocol".into(), connection.protocol.clone())];
        let mut show = |name: &str, value: String| found.push((name.into(), value));
        for (name, value) in &connection.settings {
            show(&format!("setting-{name}"), value.clone());
        }
        show("environment", std::env::vars_os().map(|variable| format!("{variable:?}")).collect::<Vec<_>>().join(","));
        show("arguments", std::env::args_os().map(|argument| format!("{argument:?}")).collect::<Vec<_>>().join(","));
        show("working-directory", format!("{:?}", wasip2::cli::environment::initial_cwd()));
        let opened = preopens::get_directories();
        show("preopens", opened.iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>().join(","));
        show("list-root", outcome(std::fs::read_dir("/").map(|entries| entries.count())));
        show("read-passwd", outcome(std::fs::read_to_string("/etc/passwd")));
        show("write-file", outcome(std::fs::write("leak", "leak")));
        let mut input = String::new();
        show("standard-input", outcome(std::io::stdin().read_to_string(&mut input).map(|_| input)));
        let network = instance_network::instance_network();
        show("tcp-connect", outcome(connect(&network)));
        show("tcp-listen", outcome(listen(&network)));
        show("udp", outcome(send(&network)));
        show("resolve", outcome(resolve(&network)));
        Ok(Report { discovered: found, ..report("looked everywhere") })
    }
}

fn loopback(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

fn connect(network: &Network) -> Result<&'static str, ErrorCode> {
    let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_connect(network, loopback(9))?;
    socket.subscribe().block();
    socket.finish_connect().map(|_streams| "a peer")
}

fn listen(network: &Network) -> Result<&'static str, ErrorCode> {
    let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(network, loopback(0))?;
    socket.subscribe().block();
    socket.finish_bind()?;
    socket.start_listen()?;
    socket.subscribe().block();
    socket.finish_listen().map(|()| "a port")
}

fn send(network: &Network) -> Result<&'static str, ErrorCode> {
    let socket = udp_create_socket::create_udp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(network, loopback(0))?;
    socket.subscribe().block();
    socket.finish_bind().map(|()| "a port")
}

fn resolve(network: &Network) -> Result<String, ErrorCode> {
    let addresses = ip_name_lookup::resolve_addresses(network, "localhost")?;
    addresses.subscribe().block();
    addresses.resolve_next_address().map(|address| format!("{address:?}"))
}

/// `error: …` or what was reached.
fn outcome<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(reached) => format!("reached: {reached:?}"),
        Err(error) => format!("error: {error:?}"),
    }
}

guest_kit::guest!(LeakProbe);
