//! Attacks on the machine by sockets of its own, beside the one way out.

use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::{instance_network::instance_network, ip_name_lookup, tcp_create_socket::create_tcp_socket};

fn loopback(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

pub(crate) fn connect() -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_connect(&instance_network(), loopback(9))?;
    socket.subscribe().block();
    socket.finish_connect().map(drop)
}

pub(crate) fn listen() -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), loopback(0))?;
    socket.subscribe().block();
    socket.finish_bind()
}

pub(crate) fn resolve() -> Result<bool, ErrorCode> {
    let addresses = ip_name_lookup::resolve_addresses(&instance_network(), "localhost")?;
    addresses.subscribe().block();
    addresses.resolve_next_address().map(|address| address.is_some())
}
