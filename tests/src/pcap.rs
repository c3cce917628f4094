//! Captures made by hand: one TCP connection with real headers, as pcap or pcapng.

use std::net::{IpAddr, SocketAddr};

/// What a capture has in front of each IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet.
    Ethernet,
    /// Ethernet with a VLAN tag.
    Vlan,
    /// Linux "cooked", as written for the interface `any`.
    LinuxSll,
    /// The second version of it.
    LinuxSll2,
    /// The loopback of BSD and macOS.
    Loopback,
    /// Nothing.
    Raw,
}

impl Link {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Ethernet,
        Self::Vlan,
        Self::LinuxSll,
        Self::LinuxSll2,
        Self::Loopback,
        Self::Raw,
    ];

    const fn number(self) -> u16 {
        match self {
            Self::Ethernet | Self::Vlan => 1,
            Self::LinuxSll => 113,
            Self::LinuxSll2 => 276,
            Self::Loopback => 0,
            Self::Raw => 101,
        }
    }

    fn wrap(self, packet: &[u8]) -> Vec<u8> {
        let is_v6 = packet.first().is_some_and(|byte| byte >> 4 == 6);
        let ethertype: [u8; 2] = if is_v6 { [0x86, 0xDD] } else { [0x08, 0x00] };
        let head = match self {
            Self::Ethernet => [&[2; 12][..], &ethertype].concat(),
            Self::Vlan => [&[2; 12][..], &[0x81, 0x00, 0, 7], &ethertype].concat(),
            Self::LinuxSll => [&[0; 14][..], &ethertype].concat(),
            Self::LinuxSll2 => [&ethertype[..], &[0; 18]].concat(),
            Self::Loopback => vec![if is_v6 { 30 } else { 2 }, 0, 0, 0],
            Self::Raw => Vec::new(),
        };
        [&head, packet].concat()
    }
}

const FIN_ACK: u8 = 0x11;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const PSH_ACK: u8 = 0x18;

/// One connection being captured; each packet comes a millisecond after the one before.
#[derive(Clone, Debug)]
pub struct Capture {
    link: Link,
    client: (SocketAddr, u32),
    device: (SocketAddr, u32),
    packets: Vec<Vec<u8>>,
}

impl Capture {
    /// Begins with the opening of the connection. Both addresses are of the same family.
    #[must_use]
    pub fn open(link: Link, client: SocketAddr, device: SocketAddr) -> Self {
        // The client's numbers wrap soon.
        let mut capture = Self {
            link,
            client: (client, 0xFFFF_FFF0),
            device: (device, 1000),
            packets: Vec::new(),
        };
        capture.packet(true, SYN, &[]);
        capture.packet(false, SYN_ACK, &[]);
        capture
    }

    /// The client sends one segment.
    pub fn client_says(&mut self, bytes: &[u8]) {
        self.packet(true, PSH_ACK, bytes);
    }

    /// The device sends one segment.
    pub fn device_says(&mut self, bytes: &[u8]) {
        self.packet(false, PSH_ACK, bytes);
    }

    /// The client closes.
    pub fn close(&mut self) {
        self.packet(true, FIN_ACK, &[]);
    }

    /// Changes the packets: their order, or what is lost.
    pub fn disturb(&mut self, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        change(&mut self.packets);
    }

    /// The capture as a little-endian pcap file.
    #[must_use]
    pub fn pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [
            0xA1B2_C3D4_u32,
            0x0004_0002,
            0,
            0,
            262_144,
            self.link.number().into(),
        ] {
            file.extend(word.to_le_bytes());
        }
        for (packet, millis) in self.packets.iter().zip(0_u32..) {
            for word in [
                1_793_000_000 + millis / 1000,
                millis % 1000 * 1000,
                length(packet),
                length(packet),
            ] {
                file.extend(word.to_le_bytes());
            }
            file.extend(packet);
        }
        file
    }

    /// The capture as a big-endian pcapng file.
    #[must_use]
    pub fn pcapng(&self) -> Vec<u8> {
        let header = [
            &0x1A2B_3C4D_u32.to_be_bytes()[..],
            &[0, 1, 0, 0],
            &[0xFF; 8],
        ]
        .concat();
        let interface = [&self.link.number().to_be_bytes()[..], &[0; 6]].concat();
        let mut file = [block(0x0A0D_0D0A, &header), block(1, &interface)].concat();
        for (packet, millis) in self.packets.iter().zip(0_u64..) {
            let micros = (1_793_000_000_000 + millis) * 1000;
            let mut body = vec![0; 4];
            body.extend(micros.to_be_bytes());
            body.extend(length(packet).to_be_bytes());
            body.extend(length(packet).to_be_bytes());
            body.extend(packet);
            file.extend(block(6, &body));
        }
        file
    }

    fn packet(&mut self, from_client: bool, flags: u8, payload: &[u8]) {
        let (client, device) = (self.client, self.device);
        let ((source, sequence), (destination, _)) = if from_client {
            (client, device)
        } else {
            (device, client)
        };
        let mut segment = Vec::new();
        segment.extend(source.port().to_be_bytes());
        segment.extend(destination.port().to_be_bytes());
        segment.extend(sequence.to_be_bytes());
        segment.extend(if from_client { device.1 } else { client.1 }.to_be_bytes());
        segment.extend([0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0]);
        segment.extend(payload);
        let packet = ip(source.ip(), destination.ip(), &segment);
        self.packets.push(self.link.wrap(&packet));
        let step = length(payload) + u32::from(flags & 0x03 != 0);
        let side = if from_client {
            &mut self.client
        } else {
            &mut self.device
        };
        side.1 = side.1.wrapping_add(step);
    }
}

fn ip(source: IpAddr, destination: IpAddr, segment: &[u8]) -> Vec<u8> {
    let short = |length: usize| {
        u16::try_from(length)
            .expect("a packet of less than 64 KiB")
            .to_be_bytes()
    };
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => [
            &[0x45, 0][..],
            &short(20 + segment.len()),
            &[0, 0, 0x40, 0, 64, 6, 0, 0],
            &source.octets(),
            &destination.octets(),
            segment,
        ]
        .concat(),
        (IpAddr::V6(source), IpAddr::V6(destination)) => [
            &[0x60, 0, 0, 0][..],
            // An extension header without options stands in front of TCP.
            &short(8 + segment.len()),
            &[0, 64],
            &source.octets(),
            &destination.octets(),
            &[6, 0, 1, 4, 0, 0, 0, 0],
            segment,
        ]
        .concat(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            unreachable!("the addresses of a connection are of one family")
        }
    }
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().wrapping_neg() % 4];
    let total = (length(body) + length(&padding) + 12).to_be_bytes();
    [&kind.to_be_bytes()[..], &total, body, &padding, &total].concat()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("less than 4 GiB")
}
