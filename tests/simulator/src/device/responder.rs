//! Answering search probes: one socket per recorder, and one per multicast group for all of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::handle::Device;
use super::random::Random;
use super::search::{Search, is_mhed_search, is_ssdp_search};

const SSDP_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const SSDP_PORT: u16 = 1900;
const MHED_SEARCHES: Ipv4Addr = Ipv4Addr::new(234, 55, 55, 55);
const MHED_ANSWERS: Ipv4Addr = Ipv4Addr::new(234, 55, 55, 56);
const MHED_PORT: u16 = 23_456;
/// The port from which recorders announce themselves.
const MHED_SOURCE: u16 = 9_407;
const MHED_TTL: u32 = 1;
/// Bytes of a search that are looked at.
const SEARCH_MAX: usize = 2_048;
/// Rest after a failed receive.
const REST: Duration = Duration::from_millis(20);

/// The tasks that answer for a fleet; they end when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Responder(Vec<JoinHandle<()>>);

/// A recorder that can be searched.
struct Answerer {
    device: Weak<Device>,
    search: Search,
    unicast: UdpSocket,
    announcer: Option<UdpSocket>,
    lost: AtomicU32,
    /// Searches that came so far.
    heard: AtomicU64,
}

impl Responder {
    /// Starts to answer for those devices that have a `search` object.
    pub(crate) fn start(devices: &[Arc<Device>]) -> Result<Self, (SocketAddr, io::Error)> {
        let mut answerers = Vec::new();
        for device in devices {
            if let Some(answerer) = Answerer::new(device)? {
                answerers.push(Arc::new(answerer));
            }
        }
        let mut responder = Self::default();
        if answerers.is_empty() {
            return Ok(responder);
        }
        let addresses: Vec<Ipv4Addr> = answerers
            .iter()
            .filter_map(|answerer| answerer.address())
            .collect();
        let answerers: Arc<[Arc<Answerer>]> = answerers.into();
        for answerer in &*answerers {
            responder
                .0
                .push(tokio::spawn(serve_unicast(Arc::clone(answerer))));
            if answerer.search.announce_ms > 0 {
                responder
                    .0
                    .push(tokio::spawn(announce(Arc::clone(answerer))));
            }
        }
        // Multicast is optional: on loopback there may be none.
        if let Ok(socket) = group(SSDP_GROUP, SSDP_PORT, &addresses) {
            responder
                .0
                .push(tokio::spawn(serve_ssdp(socket, Arc::clone(&answerers))));
        }
        if let Ok(socket) = group(MHED_SEARCHES, MHED_PORT, &addresses) {
            responder
                .0
                .push(tokio::spawn(serve_mhed(socket, answerers)));
        }
        Ok(responder)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Answerer {
    fn new(device: &Arc<Device>) -> Result<Option<Self>, (SocketAddr, io::Error)> {
        let spec = device.spec();
        let wanted = SocketAddr::new(spec.ip, SSDP_PORT);
        let failed = |error| (wanted, error);
        let search = Search::of(&spec).map_err(|error| failed(io::Error::other(error)))?;
        let (Some(search), IpAddr::V4(ip)) = (search, spec.ip) else {
            return Ok(None);
        };
        let unicast = bound(SocketAddrV4::new(ip, SSDP_PORT)).map_err(failed)?;
        let announcer = bound(SocketAddrV4::new(ip, MHED_SOURCE))
            .ok()
            .filter(|socket| {
                let socket = socket2::SockRef::from(socket);
                socket.set_multicast_if_v4(&ip).is_ok()
                    && socket.set_multicast_ttl_v4(MHED_TTL).is_ok()
            });
        Ok(Some(Self {
            device: Arc::downgrade(device),
            lost: AtomicU32::new(search.lost),
            heard: AtomicU64::new(0),
            search,
            unicast,
            announcer,
        }))
    }

    fn address(&self) -> Option<Ipv4Addr> {
        match self.unicast.local_addr().ok()?.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }
    }

    /// Whether this search is one of those that it does not hear.
    fn misses(&self, device: &Device) -> bool {
        let count = |lost: u32| lost.checked_sub(1);
        let first = self
            .lost
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count)
            .is_ok();
        let number = self.heard.fetch_add(1, Ordering::SeqCst);
        first || Random::new(device.seed(), number).below(100) < self.search.loss
    }

    async fn answer_ssdp(&self, to: SocketAddr) {
        let Some(device) = self.device.upgrade() else {
            return;
        };
        if self.misses(&device) {
            return;
        }
        let Some(reply) = self.search.ssdp_reply(&device.live().spec) else {
            return;
        };
        self.pause().await;
        for _ in 0..self.search.copies {
            // Whoever searched may be gone.
            let _ = self.unicast.send_to(&reply, to).await;
        }
        let spec = device.spec();
        for number in 0..self.search.ssdp_flood {
            let reply = self.search.made_up_document(&spec, number);
            let _ = self.unicast.send_to(&reply, to).await;
        }
    }

    async fn answer_mhed(&self) {
        let Some(device) = self.device.upgrade() else {
            return;
        };
        let Some(socket) = self.announcer.as_ref().filter(|_| self.search.mhed) else {
            return;
        };
        if self.misses(&device) {
            return;
        }
        self.pause().await;
        let spec = device.spec();
        let to = SocketAddrV4::new(MHED_ANSWERS, MHED_PORT);
        for _ in 0..self.search.copies {
            let _ = socket.send_to(&self.search.announcement(&spec), to).await;
        }
        for number in 0..self.search.flood {
            let _ = socket
                .send_to(&self.search.made_up(&spec, number), to)
                .await;
        }
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(self.search.delay_ms)).await;
    }
}

async fn serve_unicast(answerer: Arc<Answerer>) {
    let mut heard = [0; SEARCH_MAX];
    loop {
        match answerer.unicast.recv_from(&mut heard).await {
            Ok((length, from)) if heard.get(..length).is_some_and(is_ssdp_search) => {
                let answerer = Arc::clone(&answerer);
                tokio::spawn(async move { answerer.answer_ssdp(from).await });
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

async fn announce(answerer: Arc<Answerer>) {
    loop {
        tokio::time::sleep(Duration::from_millis(answerer.search.announce_ms)).await;
        let (Some(device), Some(socket)) = (answerer.device.upgrade(), &answerer.announcer) else {
            return;
        };
        let packet = answerer.search.announcement(&device.spec());
        let _ = socket.send_to(&packet, (MHED_ANSWERS, MHED_PORT)).await;
    }
}

async fn serve_ssdp(socket: UdpSocket, answerers: Arc<[Arc<Answerer>]>) {
    let mut heard = [0; SEARCH_MAX];
    loop {
        match socket.recv_from(&mut heard).await {
            Ok((length, from)) if heard.get(..length).is_some_and(is_ssdp_search) => {
                for answerer in &*answerers {
                    let answerer = Arc::clone(answerer);
                    tokio::spawn(async move { answerer.answer_ssdp(from).await });
                }
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

async fn serve_mhed(socket: UdpSocket, answerers: Arc<[Arc<Answerer>]>) {
    let mut heard = [0; SEARCH_MAX];
    loop {
        match socket.recv_from(&mut heard).await {
            Ok((length, _)) if heard.get(..length).is_some_and(is_mhed_search) => {
                for answerer in &*answerers {
                    let answerer = Arc::clone(answerer);
                    tokio::spawn(async move { answerer.answer_mhed().await });
                }
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// A socket that hears a group on the interfaces of these addresses.
fn group(group: Ipv4Addr, port: u16, addresses: &[Ipv4Addr]) -> io::Result<UdpSocket> {
    let socket = bound(SocketAddrV4::new(group, port))?;
    let mut joined = Err(io::Error::other("no address"));
    for address in addresses {
        // Several addresses of one interface join once; the others fail.
        let result = socket.join_multicast_v4(group, *address);
        if joined.is_err() {
            joined = result;
        }
    }
    joined.map(|()| socket)
}

fn bound(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}
