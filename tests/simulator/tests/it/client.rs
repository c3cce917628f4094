//! A small client, written from the layout tables and not from the simulator's code.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use md5::{Digest, Md5};
use serde_json::Value;
use sha1::Sha1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer of a test takes longer than this.
const DEADLINE: Duration = Duration::from_secs(10);

/// The password of a generated or default recorder.
pub(crate) const PASSWORD: &str = "Fleet-2026";

/// One frame of a recorder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) command: u32,
    pub(crate) id: u32,
    pub(crate) payload: Vec<u8>,
}

impl Reply {
    /// Reads a failure code.
    pub(crate) fn code(&self) -> u32 {
        assert!(
            matches!(self.command, 0x0100_0102 | 0x0100_0204),
            "no failure: {self:?}"
        );
        u32_at(&self.payload, 0)
    }

    /// Reads the HTTP content of a tunnel reply.
    pub(crate) fn content(&self) -> String {
        assert_eq!(self.command, 0x0101_0D01);
        let length = usize::try_from(u32_at(&self.payload, 0)).unwrap();
        String::from_utf8(self.payload[72..72 + length].to_vec()).unwrap()
    }

    /// Reads the JSON of a tunnel reply.
    pub(crate) fn json(&self) -> Value {
        let content = self.content();
        let (_, body) = content.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

/// A connection to a recorder.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) init: [u8; 64],
}

impl Client {
    /// Connects and reads the greeting.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let mut client = Self {
            stream,
            init: [0; 64],
        };
        client.init = client.take(64).await?.try_into().unwrap();
        Ok(client)
    }

    /// Connects and logs in; the reply is a success.
    pub(crate) async fn logged_in(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await.unwrap();
        client.send_login("admin", PASSWORD).await;
        let reply = client.login_reply().await.unwrap();
        assert!(
            matches!(reply.command, 0x0100_0101 | 0x0100_0304),
            "{reply:?}"
        );
        client
    }

    /// Says whether the greeting announces the head variant.
    pub(crate) fn is_head(&self) -> bool {
        u32_at(&self.init, 12) >= 11
    }

    /// Sends a login of the right variant.
    pub(crate) async fn send_login(&mut self, user: &str, password: &str) {
        let (command, id, payload) = if self.is_head() {
            (0x0100_0004, 0x0101, self.head_login(user, password))
        } else {
            (0x0101, 9, self.standard_login(user, password))
        };
        self.send(command, id, &payload).await.unwrap();
    }

    /// Sends a login and reads the reply.
    pub(crate) async fn login(&mut self, user: &str, password: &str) -> Reply {
        self.send_login(user, password).await;
        self.login_reply().await.unwrap()
    }

    /// Reads the reply to a login: on a head recorder the failure or the first long frame.
    pub(crate) async fn login_reply(&mut self) -> io::Result<Reply> {
        loop {
            let reply = self.reply().await?;
            if !self.is_head() || reply.command == 0x0100_0204 || reply.payload.len() >= 184 {
                return Ok(reply);
            }
        }
    }

    /// Asks for a path through the tunnel.
    pub(crate) async fn get(&mut self, path: &str, seq: u32) -> io::Result<Reply> {
        let text = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let mut payload = u32::try_from(text.len()).unwrap().to_le_bytes().to_vec();
        payload.extend(seq.to_le_bytes());
        payload.extend([0; 64]);
        payload.extend(text.bytes());
        payload.push(0);
        self.send(0x0101_0D00, 21, &payload).await?;
        self.reply().await
    }

    /// Logs out and waits until the recorder has closed.
    pub(crate) async fn leave(mut self) {
        self.send(0x0102, 0, &[]).await.unwrap();
        self.rest().await.unwrap();
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, command: u32, id: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap();
        let mut bytes = b"1111".to_vec();
        for word in [16 + length, command, id, 0, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(payload);
        self.stream.write_all(&bytes).await
    }

    /// Reads the next frame that is no heartbeat.
    pub(crate) async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            let prefix = self.take(8).await?;
            assert_eq!(prefix[..4], *b"1111");
            let length = u32_at(&prefix, 4);
            if length == 0 {
                continue;
            }
            assert!((16..1_000_000).contains(&length), "length {length}");
            let body = self.take(usize::try_from(length).unwrap()).await?;
            let size = usize::try_from(u32_at(&body, 12)).unwrap();
            let payload = body
                .get(16..16 + size)
                .expect("payload inside its frame")
                .to_vec();
            return Ok(Reply {
                command: u32_at(&body, 0),
                id: u32_at(&body, 4),
                payload,
            });
        }
    }

    /// Reads exactly so many bytes.
    pub(crate) async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        timeout(DEADLINE, self.stream.read_exact(&mut bytes))
            .await
            .expect("in time")?;
        Ok(bytes)
    }

    /// Reads until the recorder closes.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        timeout(DEADLINE, self.stream.read_to_end(&mut bytes))
            .await
            .expect("in time")?;
        Ok(bytes)
    }

    fn standard_login(&self, user: &str, password: &str) -> Vec<u8> {
        let mut payload = vec![0; 116];
        payload[0] = 1;
        payload[4..4 + user.len()].copy_from_slice(user.as_bytes());
        payload[36..36 + password.len()].copy_from_slice(password.as_bytes());
        let key = &self.init[44..48];
        if matches!(key[0], 1 | 2) {
            for (at, byte) in payload[36..68].iter_mut().enumerate() {
                *byte ^= key[at % 4];
            }
        } else if u32_at(&self.init, 24) != 0 {
            for (at, byte) in payload[4..68].iter_mut().enumerate() {
                *byte ^= self.init[28 + at % 4];
            }
        }
        payload[112] = 3;
        payload
    }

    fn head_login(&self, user: &str, password: &str) -> Vec<u8> {
        let nonce = u32::from_le_bytes([self.init[45], self.init[46], self.init[47], 0]);
        let mut payload = vec![0; 236];
        payload[0] = 3;
        let key = nonce.to_string().into_bytes();
        for (at, byte) in user.bytes().enumerate() {
            payload[36 + at] = byte ^ key[at % key.len()];
        }
        let inner: String = Md5::digest(password)
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        payload[100..120].copy_from_slice(&Sha1::digest(format!("{inner}{nonce:08}")));
        payload
    }
}

/// Reads a little-endian word.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}
