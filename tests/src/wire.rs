//! What is on a cable, with the kernel's own times: a witness that is no part of what is tested.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeSpec, TimeVal, TimeValLike as _};

/// Bytes of a frame that are looked at.
const HEADERS: usize = 128;
const ETHERNET: usize = 14;
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// Watches the probes that come into a namespace.
#[derive(Debug)]
pub struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Witness {
    /// Begins to watch the namespace behind `path`.
    ///
    /// # Panics
    ///
    /// It cannot be entered, or no packet socket can be had.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let file = File::open(path).expect("the namespace");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // A socket belongs to the namespace of the thread that makes it.
            rustix::thread::move_into_link_name_space(
                file.as_fd(),
                Some(rustix::thread::LinkNameSpaceType::Network),
            )
            .expect("the way into the namespace");
            let socket = open();
            ready.send(()).expect("the test");
            let mut times = Vec::new();
            loop {
                // Asked first, so that what is in the queue then is still read.
                let last = stopped.load(Ordering::SeqCst);
                let read = drain(&socket, &mut times);
                if last && !read {
                    return times;
                }
            }
        });
        is_ready.recv().expect("a packet socket");
        Self { stop, thread }
    }

    /// Ends, and gives the times of the probes to single addresses, in order.
    ///
    /// # Panics
    ///
    /// Watching failed.
    #[must_use]
    pub fn times(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::SeqCst);
        let mut times = self.thread.join().expect("the witness");
        times.sort_unstable();
        times
    }
}

/// The most probes per second in any 100 ms.
#[must_use]
pub fn peak(times: &[Duration]) -> usize {
    let window = Duration::from_millis(100);
    let mut first = 0;
    let mut most = 0;
    for (last, time) in times.iter().enumerate() {
        while times[first] + window <= *time {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most * 10
}

fn open() -> OwnedFd {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )
    .expect("a packet socket");
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("times");
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).expect("room");
    let wait = TimeVal::milliseconds(50);
    setsockopt(&socket, sockopt::ReceiveTimeout, &wait).expect("an end");
    socket
}

/// Reads one frame; false if none came for a while.
fn drain(socket: &OwnedFd, times: &mut Vec<Duration>) -> bool {
    let mut frame = [0; HEADERS];
    let mut control = cmsg_space!(TimeSpec);
    let mut buffers = [IoSliceMut::new(&mut frame)];
    let Ok(message) = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut buffers,
        Some(&mut control),
        MsgFlags::empty(),
    ) else {
        return false;
    };
    let mut parts = message.cmsgs().expect("a time");
    let time = parts.find_map(|part| {
        if let ControlMessageOwned::ScmTimestampns(time) = part {
            Some(Duration::from(time))
        } else {
            None
        }
    });
    let length = message.bytes.min(HEADERS);
    if is_probe(&frame[..length]) {
        times.push(time.expect("a time"));
    }
    true
}

/// Whether a frame is a search to one address, an echo request or the begin of a connection.
fn is_probe(frame: &[u8]) -> bool {
    let Some([first, _, _, _, _, _, _, _, _, protocol, rest @ ..]) = frame.get(ETHERNET..) else {
        return false;
    };
    if frame.get(12..14) != Some(&[8, 0]) {
        return false;
    }
    let is_multicast = rest.get(6).is_none_or(|octet| *octet >= 224);
    let payload = frame.get(ETHERNET + usize::from(first & 0x0F) * 4..);
    match (protocol, payload) {
        (1, Some([8, ..])) => true,
        (6, Some([.., _])) => payload
            .and_then(|segment| segment.get(13))
            .is_some_and(|flags| flags & 0x12 == 0x02),
        (17, Some([_, _, 0x07, 0x6C, ..])) => !is_multicast,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(protocol: u8, to: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0]);
        frame.extend([10, 0, 0, 1, to, 0, 0, 2]);
        frame.extend(payload);
        frame
    }

    #[test]
    fn probes_are_told_from_other_frames() {
        let syn = |flags| {
            let mut segment = vec![0; 20];
            segment[13] = flags;
            frame(6, 10, &segment)
        };
        assert!(is_probe(&frame(1, 10, &[8, 0])) && !is_probe(&frame(1, 10, &[0, 0])));
        assert!(is_probe(&frame(17, 10, &[9, 9, 0x07, 0x6C, 0])));
        assert!(!is_probe(&frame(17, 239, &[9, 9, 0x07, 0x6C, 0])));
        assert!(!is_probe(&frame(17, 10, &[0x07, 0x6C, 9, 9, 0])));
        assert!(is_probe(&syn(0x02)) && !is_probe(&syn(0x12)) && !is_probe(&syn(0x10)));
        assert!(!is_probe(&[]) && !is_probe(&[0; 40]));
    }

    #[test]
    fn the_peak_is_that_of_any_100_ms() {
        let times = [0, 50, 99, 100, 149, 400].map(Duration::from_millis);
        assert_eq!((peak(&times), peak(&[])), (40, 0));
    }
}
