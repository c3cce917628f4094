//! Receiving on all sockets.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use tokio::net::UdpSocket;

use crate::discover::echo::Echo;
use crate::discover::interfaces::Interface;
use crate::discover::listen::Ear;

/// Bytes of the largest datagram.
const DATAGRAM_MAX: usize = 65_535;
/// Datagrams read from one socket in one go.
const AT_ONCE: usize = 64;
/// Datagrams looked at in a second; what comes beyond is counted.
const PER_SECOND: u32 = 20_000;
/// Datagrams of one sender looked at in a second, so that others are heard beside a flood.
const PER_SENDER: u32 = 128;
/// Senders that are counted in a second.
const SENDERS_MAX: usize = 4_096;

/// One datagram.
pub(super) struct Datagram<'a> {
    pub(super) ear: Option<Ear>,
    pub(super) from: Ipv4Addr,
    pub(super) interface: Option<&'a str>,
    /// The sequence number of a reply to an echo request; it has no further content.
    pub(super) echo: Option<u16>,
    pub(super) bytes: &'a [u8],
}

/// The sockets, and the room to receive into.
pub(super) struct Ears {
    pub(super) searches: Vec<(Interface, UdpSocket)>,
    pub(super) groups: Vec<UdpSocket>,
    pub(super) sweep: Option<UdpSocket>,
    pub(super) echo: Option<Echo>,
    searched: bool,
    buffer: Vec<u8>,
    second: Instant,
    in_second: u32,
    senders: BTreeMap<Ipv4Addr, u32>,
}

impl Ears {
    pub(super) fn new(
        searches: Vec<(Interface, UdpSocket)>,
        groups: Vec<UdpSocket>,
        sweep: Option<UdpSocket>,
        echo: Option<Echo>,
        searched: bool,
    ) -> Self {
        Self {
            searches,
            groups,
            sweep,
            echo,
            searched,
            buffer: vec![0; DATAGRAM_MAX],
            second: Instant::now(),
            in_second: 0,
            senders: BTreeMap::new(),
        }
    }

    /// Waits until every socket can send: a fresh one cannot before the runtime has looked at it.
    pub(super) async fn open(&self) {
        for socket in self.sockets() {
            // An error shows when sending.
            let _ = socket.writable().await;
        }
    }

    /// Waits until a socket has something; for ever if there is none.
    pub(super) async fn ready(&self) {
        let waits: Vec<_> = self
            .sockets()
            .map(|socket| Box::pin(socket.readable()))
            .collect();
        if waits.is_empty() {
            std::future::pending::<()>().await;
        }
        // An error shows when reading.
        let _ = select_all(waits).await;
    }

    /// Reads what is there, within bounds; gives how many datagrams were not looked at.
    pub(super) fn hear(&mut self, now: Instant, mut each: impl FnMut(Datagram<'_>)) -> u64 {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.in_second) = (now, 0);
            self.senders.clear();
        }
        let mut dropped = 0;
        let senders = &mut self.senders;
        let mut read = |socket: &UdpSocket,
                        buffer: &mut [u8],
                        in_second: &mut u32,
                        each: &mut dyn FnMut(Ipv4Addr, &[u8])| {
            for _ in 0..AT_ONCE {
                let Ok((length, SocketAddr::V4(from))) = socket.try_recv_from(buffer) else {
                    return;
                };
                *in_second = in_second.saturating_add(1);
                let mut of_sender = 1;
                if senders.len() < SENDERS_MAX || senders.contains_key(from.ip()) {
                    let count = senders.entry(*from.ip()).or_default();
                    *count = count.saturating_add(1);
                    of_sender = *count;
                }
                if *in_second > PER_SECOND || of_sender > PER_SENDER {
                    dropped += 1;
                } else {
                    each(*from.ip(), buffer.get(..length).unwrap_or_default());
                }
            }
        };
        let Self {
            searches,
            groups,
            sweep,
            echo,
            searched,
            buffer,
            in_second,
            ..
        } = self;
        for (interface, socket) in searches {
            read(socket, buffer, in_second, &mut |from, bytes| {
                each(Datagram {
                    ear: Some(Ear::Search),
                    from,
                    interface: Some(&interface.name),
                    echo: None,
                    bytes,
                });
            });
        }
        for socket in groups {
            read(socket, buffer, in_second, &mut |from, bytes| {
                let ear = Some(Ear::Group {
                    searched: *searched,
                });
                each(Datagram {
                    ear,
                    from,
                    interface: None,
                    echo: None,
                    bytes,
                });
            });
        }
        if let Some(socket) = sweep {
            read(socket, buffer, in_second, &mut |from, bytes| {
                let ear = Some(Ear::Sweep);
                each(Datagram {
                    ear,
                    from,
                    interface: None,
                    echo: None,
                    bytes,
                });
            });
        }
        if let Some(echo) = echo {
            read(&echo.socket, buffer, in_second, &mut |from, bytes| {
                each(Datagram {
                    ear: None,
                    from,
                    interface: None,
                    echo: echo.reply(bytes),
                    bytes: &[],
                });
            });
        }
        dropped
    }

    fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.searches
            .iter()
            .map(|(_, socket)| socket)
            .chain(&self.groups)
            .chain(&self.sweep)
            .chain(self.echo.as_ref().map(|echo| &echo.socket))
    }
}
