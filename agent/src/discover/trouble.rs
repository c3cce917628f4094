//! What the kernel reports about datagrams that went nowhere.

use std::io::{self, IoSliceMut};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg};
use tokio::net::UdpSocket;

/// Reports read in one go.
const REPORTS_MAX: usize = 256;
/// An ICMP message from the network, not the kernel's own.
const ORIGIN_ICMP: u8 = 2;

/// Errors of earlier datagrams that a send call may report before its own result.
const STALE_ERRORS: usize = 8;

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The host is there, but nothing listens.
    Refused,
    /// Nobody is there; a router said so, or the kernel by itself.
    Unreachable { router: bool },
    /// The kernel had no room.
    NoRoom,
    /// Our own probes wait for their neighbours, as many as the socket may hold.
    Queued,
}

/// Sends, past the errors that the kernel reports about earlier datagrams.
pub(crate) fn sent(send: impl Fn() -> io::Result<usize>) -> Result<(), Fate> {
    for _ in 0..STALE_ERRORS {
        match send() {
            Ok(_) => return Ok(()),
            Err(error) => {
                if let Some(fate) = of_send(&error) {
                    return Err(fate);
                }
            }
        }
    }
    Err(Fate::Queued)
}

/// Reads the error queue of a socket.
pub(crate) fn drain(socket: &UdpSocket, mut each: impl FnMut(Ipv4Addr, Fate)) {
    let mut data = [0; 64];
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in);
    for _ in 0..REPORTS_MAX {
        let mut buffers = [IoSliceMut::new(&mut data)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let Ok(message) =
            recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut buffers, Some(&mut control), flags)
        else {
            return;
        };
        // The address of an error is that of the datagram it is about.
        let Some(about) = message.address.map(|address| address.ip()) else {
            continue;
        };
        let Ok(parts) = message.cmsgs() else { continue };
        for part in parts {
            if let ControlMessageOwned::Ipv4RecvErr(error, offender) = part {
                let by = offender.map(|by| Ipv4Addr::from(u32::from_be(by.sin_addr.s_addr)));
                let errno =
                    i32::try_from(error.ee_errno).map_or(Errno::UnknownErrno, Errno::from_raw);
                if let Some(fate) = fate(errno, error.ee_origin, about, by) {
                    each(about, fate);
                }
            }
        }
    }
}

fn fate(errno: Errno, origin: u8, about: Ipv4Addr, by: Option<Ipv4Addr>) -> Option<Fate> {
    const CLOSED: [Errno; 2] = [Errno::ECONNREFUSED, Errno::ENOPROTOOPT];
    const FORBIDDEN: [Errno; 3] = [Errno::EHOSTUNREACH, Errno::EACCES, Errno::EPERM];
    const NOBODY: [Errno; 2] = [Errno::EHOSTUNREACH, Errno::ENETUNREACH];
    let from_network = origin == ORIGIN_ICMP;
    // What the host itself forbids shows that it is there.
    let by_host = FORBIDDEN.contains(&errno) && by == Some(about);
    if from_network && (CLOSED.contains(&errno) || by_host) {
        Some(Fate::Refused)
    } else if NOBODY.contains(&errno) {
        Some(Fate::Unreachable {
            router: from_network,
        })
    } else {
        (errno == Errno::ENOBUFS).then_some(Fate::NoRoom)
    }
}

/// What an error of a send call means; `None` for one that is about an earlier datagram.
pub(crate) fn of_send(error: &io::Error) -> Option<Fate> {
    const NO_ROOM: [Errno; 2] = [Errno::ENOBUFS, Errno::ENOMEM];
    const NO_WAY: [Errno; 5] = [
        Errno::ENETUNREACH,
        Errno::EINVAL,
        Errno::EACCES,
        Errno::EPERM,
        Errno::EADDRNOTAVAIL,
    ];
    if error.kind() == io::ErrorKind::WouldBlock {
        return Some(Fate::Queued);
    }
    let errno = Errno::from_raw(error.raw_os_error()?);
    if NO_ROOM.contains(&errno) {
        Some(Fate::NoRoom)
    } else {
        NO_WAY
            .contains(&errno)
            .then_some(Fate::Unreachable { router: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_host_that_says_no_is_alive_and_one_that_a_router_disowns_is_not() {
        let (host, router) = (Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(10, 0, 0, 1));
        let of = |errno, by| fate(errno, ORIGIN_ICMP, host, Some(by));
        assert_eq!(of(Errno::ECONNREFUSED, host), Some(Fate::Refused));
        assert_eq!(of(Errno::EHOSTUNREACH, host), Some(Fate::Refused));
        assert_eq!(
            of(Errno::EHOSTUNREACH, router),
            Some(Fate::Unreachable { router: true })
        );
        let local = fate(Errno::EHOSTUNREACH, 1, host, None);
        assert_eq!(local, Some(Fate::Unreachable { router: false }));
        assert_eq!(fate(Errno::EMSGSIZE, 1, host, None), None);
    }

    #[tokio::test]
    async fn a_closed_port_is_reported_with_its_address() {
        let to = Ipv4Addr::new(127, 0, 93, 7);
        let socket = super::super::sockets::sweep(None).unwrap();
        // Port 1 has no UDP service.
        socket.send_to(b"x", (to, 1)).await.unwrap();
        let error = socket.ready(tokio::io::Interest::ERROR);
        tokio::time::timeout(Duration::from_secs(10), error)
            .await
            .unwrap()
            .unwrap();
        let mut found = None;
        drain(&socket, |about, fate| found = Some((about, fate)));
        assert_eq!(found, Some((to, Fate::Refused)));
    }
}
