//! Small TCP peers for the tests of the driver: a recorder of the head variant, written down byte by
//! byte, and peers that misbehave in one way each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of a head-variant login frame: 24 of header, 236 of payload.
const LOGIN_FRAME: usize = 260;
/// Bytes of a logout frame.
const LOGOUT_FRAME: usize = 24;

/// What a peer does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Habit {
    /// Accepts every login and names this many channels.
    Recorder { channels: u16 },
    /// Refuses every login.
    Refuses,
    /// Refuses every login because the account is locked.
    Locked,
    /// Accepts the connection and says nothing.
    Silent,
    /// Greets and closes when the login comes.
    ClosesAtLogin,
    /// Says something else than a greeting.
    Stranger,
    /// Greets and never answers the login.
    NeverAnswers,
}

/// A peer on a loopback port of its own; gone when dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counters {
    connections: AtomicUsize,
    logins: AtomicUsize,
    logouts: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Peer {
    pub(crate) async fn start(habit: Habit, mac: [u8; 6], delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        let shared = Arc::clone(&counters);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, habit, mac, delay, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            counters,
            task,
        }
    }

    /// Closes the port.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
    }

    pub(crate) fn connections(&self) -> usize {
        self.counters.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn logins(&self) -> usize {
        self.counters.logins.load(Ordering::SeqCst)
    }

    pub(crate) fn logouts(&self) -> usize {
        self.counters.logouts.load(Ordering::SeqCst)
    }

    /// The most logged-in sessions that were open at the same time.
    pub(crate) fn most_open(&self) -> usize {
        self.counters.most_open.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A MAC address of the maker's, ending in `last`.
pub(crate) fn mac(last: u8) -> [u8; 6] {
    [0x58, 0x5B, 0x69, 0, 0, last]
}

async fn serve(
    mut stream: TcpStream,
    habit: Habit,
    mac: [u8; 6],
    delay: Duration,
    counters: Arc<Counters>,
) {
    counters.connections.fetch_add(1, Ordering::SeqCst);
    match habit {
        Habit::Silent => return read_to_end(&mut stream).await,
        Habit::Stranger => {
            let _ = stream
                .write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
                .await;
            return read_to_end(&mut stream).await;
        }
        Habit::Recorder { .. }
        | Habit::Refuses
        | Habit::Locked
        | Habit::ClosesAtLogin
        | Habit::NeverAnswers => {}
    }
    tokio::time::sleep(delay).await;
    if stream.write_all(&greeting(mac)).await.is_err() {
        return;
    }
    let mut login = [0; LOGIN_FRAME];
    if stream.read_exact(&mut login).await.is_err() {
        return;
    }
    counters.logins.fetch_add(1, Ordering::SeqCst);
    let open = counters.open.fetch_add(1, Ordering::SeqCst) + 1;
    counters.most_open.fetch_max(open, Ordering::SeqCst);
    tokio::time::sleep(delay).await;
    match habit {
        Habit::Recorder { channels } => {
            let _ = stream
                .write_all(&frame(0x0100_0104, &channel_list(channels)))
                .await;
            let mut logout = [0; LOGOUT_FRAME];
            if stream.read_exact(&mut logout).await.is_ok() {
                counters.logouts.fetch_add(1, Ordering::SeqCst);
            }
        }
        Habit::Refuses | Habit::Locked => {
            let code: u32 = if matches!(habit, Habit::Locked) {
                0x2000_0027
            } else {
                2
            };
            let refusal = frame(0x0100_0204, &code.to_le_bytes());
            let _ = stream.write_all(&refusal).await;
            counters.open.fetch_sub(1, Ordering::SeqCst);
            return read_to_end(&mut stream).await;
        }
        Habit::NeverAnswers => read_to_end(&mut stream).await,
        Habit::ClosesAtLogin | Habit::Silent | Habit::Stranger => {}
    }
    counters.open.fetch_sub(1, Ordering::SeqCst);
}

async fn read_to_end(stream: &mut TcpStream) {
    let mut rest = [0; 256];
    while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
}

fn greeting(mac: [u8; 6]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..4].copy_from_slice(b"head");
    bytes[4] = 6;
    bytes[12] = 11;
    bytes[32..38].copy_from_slice(&mac);
    bytes[40..44].copy_from_slice(&[0, 10, 4, 1]);
    bytes[44..48].copy_from_slice(&[0, 0x40, 0xE2, 1]);
    bytes
}

fn frame(command: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let mut bytes = b"1111".to_vec();
    for word in [length + 16, command, 0x0101, 0x0101, length] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn channel_list(channels: u16) -> Vec<u8> {
    let mut bytes = vec![0; 184];
    bytes[140..147].copy_from_slice(b"N9K0042");
    bytes[176..178].copy_from_slice(&channels.to_le_bytes());
    for number in 1..=u32::from(channels) {
        let mut record = [0; 20];
        record[..4].copy_from_slice(&number.to_le_bytes());
        record[16] = 1;
        bytes.extend_from_slice(&record);
    }
    bytes
}
