//! The sockets of a discovery: one per interface for multicast, one for the sweep, never one per
//! host.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket as StdUdpSocket};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::interfaces::Interface;

/// Room for answers that come all at once.
const RECEIVE_BUFFER: usize = 2 * 1024 * 1024;
/// Room for probes that wait for a neighbour: each takes under 1 KiB for three seconds.
const SEND_BUFFER: usize = 2 * 1024 * 1024;

/// A socket that cannot be had: which step failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {source}")]
pub(crate) struct Trouble {
    step: &'static str,
    source: io::Error,
}

fn step<T>(step: &'static str, result: io::Result<T>) -> Result<T, Trouble> {
    result.map_err(|source| Trouble { step, source })
}

/// The socket of the sweep. It reports what happened to its datagrams.
pub(crate) fn sweep(bind: Option<Ipv4Addr>) -> Result<UdpSocket, Trouble> {
    datagram(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP), bind)
}

/// A datagram socket bound to `bind`, or to no address in particular, that reports errors.
pub(crate) fn datagram(
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
    bind: Option<Ipv4Addr>,
) -> Result<UdpSocket, Trouble> {
    let socket = step("open a socket", Socket::new(domain, kind, protocol))?;
    report_errors(&socket)?;
    let local = SocketAddrV4::new(bind.unwrap_or(Ipv4Addr::UNSPECIFIED), 0);
    step("bind to the address", socket.bind(&local.into()))?;
    finish(socket)
}

/// The socket that searches by multicast on one interface; answers come to it.
pub(crate) fn search(interface: &Interface) -> Result<UdpSocket, Trouble> {
    let socket = step(
        "open a socket",
        Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)),
    )?;
    // Not permitted everywhere, and needed only where two interfaces have the same network.
    if let Err(error) = socket.bind_device(Some(interface.name.as_bytes())) {
        tracing::debug!(%error, interface = interface.name, "not bound to the interface");
    }
    let local = SocketAddrV4::new(interface.address, 0);
    step(
        "bind to the interface's address",
        socket.bind(&local.into()),
    )?;
    step(
        "choose the interface",
        socket.set_multicast_if_v4(&interface.address),
    )?;
    step(
        "switch the echo of our own packets off",
        socket.set_multicast_loop_v4(false),
    )?;
    finish(socket)
}

/// A socket that hears what is sent to a multicast group, on all these interfaces.
///
/// It is bound to the group's address, so that it takes no one else's unicast datagrams.
pub(crate) fn listen(
    group: Ipv4Addr,
    port: u16,
    interfaces: &[Interface],
) -> Result<UdpSocket, Trouble> {
    let socket = step(
        "open a socket",
        Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)),
    )?;
    step("share the port", socket.set_reuse_address(true))?;
    step(
        "listen to the group",
        socket.bind(&SocketAddrV4::new(group, port).into()),
    )?;
    let mut joined = 0_usize;
    let mut last = None;
    for interface in interfaces {
        let by_index = InterfaceIndexOrAddress::Index(interface.index);
        match socket.join_multicast_v4_n(&group, &by_index) {
            Ok(()) => joined += 1,
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) if joined == 0 => step("join the group", Err(error)),
        _ => finish(socket),
    }
}

fn finish(socket: Socket) -> Result<UdpSocket, Trouble> {
    // The kernel gives what it allows.
    if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER) {
        tracing::debug!(%error, "receive buffer not enlarged");
    }
    // Beyond the system's limit only where that is permitted.
    if setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER).is_err()
        && let Err(error) = socket.set_send_buffer_size(SEND_BUFFER)
    {
        tracing::debug!(%error, "send buffer not enlarged");
    }
    step("make the socket non-blocking", socket.set_nonblocking(true))?;
    step(
        "hand the socket over",
        UdpSocket::from_std(StdUdpSocket::from(socket)),
    )
}

fn report_errors(socket: &Socket) -> Result<(), Trouble> {
    let set = setsockopt(socket, sockopt::Ipv4RecvErr, &true).map_err(io::Error::from);
    step("ask for error reports", set)
}
