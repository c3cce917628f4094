//! What a fleet file says about one recorder.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::{Fault, FaultRule, Phase};
use super::value::{Firmware, Mac, Password};
use crate::video::RtspSpec;
use crate::web::WebSpec;

/// Port of recorders.
pub(crate) const RECORDER_PORT: u16 = 6036;
/// Port of cameras, and of recorders that answer there as well.
pub(crate) const CAMERA_PORT: u16 = 9008;

/// One recorder as a fleet file describes it.
///
/// The keys up to `banner_9008` are those of the example fleets; all others have defaults that
/// behave as the examples do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSpec {
    /// Address to listen on.
    pub ip: IpAddr,
    /// Port to listen on; 0 takes a free one.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Variant, or one of the broken kinds.
    #[serde(default)]
    pub kind: Kind,
    /// The one username.
    #[serde(default = "default_user")]
    pub user: String,
    /// Its password.
    #[serde(default)]
    pub password: Password,
    /// Device name in the standard login reply; serial number in the head reply.
    #[serde(default)]
    pub name: String,
    /// Address in the greeting and in the login reply.
    #[serde(default)]
    pub mac: Mac,
    /// Login nonce, 24 bits; absent: a fresh one per connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<u32>,
    /// Login-encrypt byte of the greeting.
    #[serde(default = "default_encrypt")]
    pub encrypt: u8,
    /// A heartbeat follows the greeting.
    #[serde(default = "default_true")]
    pub ack: bool,
    /// Camera objects as the tunnelled `/queryIPCInfo` returns them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cameras: Vec<Value>,
    /// JSON by tunnelled path; wins over `cameras`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub path_replies: Map<String, Value>,
    /// Channel number and online flag, head variant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<(u32, bool)>,
    /// What the device says in answer to a search probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Value>,
    /// Nothing listens on TCP.
    #[serde(default, skip_serializing_if = "is_false")]
    pub search_only: bool,
    /// The device answers on TCP 9008 as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub banner_9008: bool,

    /// Site of the device in inventories.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub site: String,
    /// Host name of the device in inventories.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// Serial number of a head-variant device; empty: the name stands in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Firmware version.
    #[serde(default)]
    pub firmware: Firmware,
    /// Firmware build date, decimal YYYYMMDD.
    #[serde(default = "default_build_date")]
    pub build_date: u32,
    /// Device type word of the greeting.
    #[serde(default = "default_dev_type")]
    pub dev_type: u32,
    /// Protocol version of the greeting; absent: 3 or 11 by kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_ver: Option<u32>,
    /// Encrypt type word of the greeting.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub encrypt_type: u32,
    /// Which greeting bytes hide the credentials of a standard login.
    #[serde(default)]
    pub xor_key: XorKey,
    /// The tunnel works, and the login reply says so.
    #[serde(default = "default_true")]
    pub pass_through: bool,
    /// Command number of the long head reply.
    #[serde(default = "default_head_reply")]
    pub head_reply_command: u32,
    /// Short frames before the long head reply, at most 20.
    #[serde(default = "default_short_frames")]
    pub short_frames: u8,
    /// Delay before each packet in milliseconds; absent: the simulator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Heartbeat interval on an idle connection in milliseconds; 0, as in the examples: none.
    ///
    /// An interval of 5 s races with a client that waits 5 s for a mute tunnel.
    #[serde(default)]
    pub heartbeat_ms: u64,
    /// Silence of the client after which the device hangs up, in milliseconds; 0: never.
    #[serde(default = "default_idle_limit")]
    pub idle_limit_ms: u64,
    /// Lock after wrong logins.
    #[serde(default)]
    pub lock: LockRule,
    /// Sessions at the same time; the next login is told that the device is busy.
    #[serde(default = "default_client_limit")]
    pub client_limit: usize,
    /// What a command before login does.
    #[serde(default)]
    pub before_login: BeforeLogin,
    /// Request number in replies.
    #[serde(default)]
    pub reply_id: ReplyId,
    /// Faults, each with a probability or a position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRule>,
    /// The web interfaces, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<WebSpec>,
    /// The RTSP server, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtsp: Option<RtspSpec>,
}

fn default_port() -> u16 {
    RECORDER_PORT
}
fn default_user() -> String {
    "admin".to_owned()
}
fn default_encrypt() -> u8 {
    2
}
fn default_true() -> bool {
    true
}
fn default_build_date() -> u32 {
    20_241_010
}
fn default_dev_type() -> u32 {
    3
}
fn default_head_reply() -> u32 {
    0x0100_0304
}
fn default_short_frames() -> u8 {
    1
}
fn default_idle_limit() -> u64 {
    60_000
}
fn default_client_limit() -> usize {
    8
}
fn is_false(value: &bool) -> bool {
    !*value
}
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl DeviceSpec {
    /// Describes a healthy standard recorder without cameras.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            ip: address.ip(),
            port: address.port(),
            kind: Kind::Standard,
            user: default_user(),
            password: Password::default(),
            name: String::new(),
            mac: Mac::default(),
            nonce: None,
            encrypt: default_encrypt(),
            ack: true,
            cameras: Vec::new(),
            path_replies: Map::new(),
            channels: Vec::new(),
            search: None,
            search_only: false,
            banner_9008: false,
            site: String::new(),
            hostname: String::new(),
            serial: String::new(),
            firmware: Firmware::default(),
            build_date: default_build_date(),
            dev_type: default_dev_type(),
            protocol_ver: None,
            encrypt_type: 0,
            xor_key: XorKey::default(),
            pass_through: true,
            head_reply_command: default_head_reply(),
            short_frames: default_short_frames(),
            latency_ms: None,
            heartbeat_ms: 0,
            idle_limit_ms: default_idle_limit(),
            lock: LockRule::default(),
            client_limit: default_client_limit(),
            before_login: BeforeLogin::default(),
            reply_id: ReplyId::default(),
            faults: Vec::new(),
            web: None,
            rtsp: None,
        }
    }

    /// Says whether the device speaks the head variant.
    pub fn is_head(&self) -> bool {
        self.protocol_ver
            .map_or(self.kind == Kind::Head, |version| version >= 11)
    }

    /// Returns the protocol version of the greeting.
    pub fn protocol_version(&self) -> u32 {
        self.protocol_ver
            .unwrap_or(if self.kind == Kind::Head { 11 } else { 3 })
    }

    /// Says whether the device listens when the fleet starts.
    pub fn listens(&self) -> bool {
        self.kind != Kind::Absent && !self.search_only
    }

    /// Returns the faults of the device: those of its kind, then its own.
    pub(crate) fn fault_rules(&self) -> impl Iterator<Item = FaultRule> {
        self.kind
            .fault()
            .map(FaultRule::always)
            .into_iter()
            .chain(self.faults.iter().cloned())
    }
}

/// Variant of a recorder, or one of the broken kinds of the example fleets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Protocol version 3, channel list through the tunnel.
    #[default]
    Standard,
    /// Protocol version 11, channel list in the login reply.
    Head,
    /// Nothing listens.
    Absent,
    /// Accepts and never sends.
    Silent,
    /// Accepts and closes.
    Close,
    /// No tunnelled path answers.
    Nocams,
    /// Tunnel requests are never answered.
    TunnelMute,
    /// A zero byte follows the content of a tunnel reply.
    NulTail,
    /// A heartbeat precedes every reply.
    AckFirst,
    /// Login is answered with an unknown command number.
    UnknownReply,
    /// The greeting starts with `1111`.
    Banner1111,
    /// The greeting comes one byte every half second.
    Drip,
}

impl Kind {
    /// Returns the fault that makes the kind what it is.
    fn fault(self) -> Option<Fault> {
        match self {
            Self::Standard | Self::Head | Self::Absent | Self::Nocams => None,
            Self::Silent => Some(Fault::NoGreeting),
            Self::Close => Some(Fault::CloseBefore {
                phase: Phase::Greeting,
            }),
            Self::TunnelMute => Some(Fault::TunnelMute),
            Self::NulTail => Some(Fault::TunnelTrailingNul),
            Self::AckFirst => Some(Fault::AckFirst),
            Self::UnknownReply => Some(Fault::UnknownLoginReply),
            Self::Banner1111 => Some(Fault::GreetingFlag1111),
            Self::Drip => Some(Fault::GreetingDrip { ms: 500 }),
        }
    }
}

/// Which greeting bytes hide the credentials of a standard login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum XorKey {
    /// The login-encrypt byte and the nonce; the password only.
    #[default]
    LoginBytes,
    /// The encrypt parameter, fresh per connection; username and password.
    EncryptParam,
}

/// When wrong logins lock a username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockRule {
    /// Wrong tries until the lock; 0: never.
    #[serde(default = "default_tries")]
    pub tries: u32,
    /// How long the lock lasts, in milliseconds.
    #[serde(default = "default_lock")]
    pub lock_ms: u64,
    /// Failure code while locked.
    #[serde(default = "default_lock_code")]
    pub code: u32,
}

fn default_tries() -> u32 {
    5
}
fn default_lock() -> u64 {
    1_800_000
}
fn default_lock_code() -> u32 {
    4
}

impl Default for LockRule {
    fn default() -> Self {
        Self {
            tries: default_tries(),
            lock_ms: default_lock(),
            code: default_lock_code(),
        }
    }
}

/// What a command before login does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeforeLogin {
    /// Nothing is answered.
    #[default]
    Ignore,
    /// The device hangs up.
    Close,
}

/// Request number in replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyId {
    /// The number of the request.
    #[default]
    Echo,
    /// Always 0.
    Zero,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimal_object_has_the_defaults_of_the_examples() {
        let spec: DeviceSpec = serde_json::from_str(r#"{"ip": "127.0.0.9"}"#).unwrap();
        assert_eq!(spec, DeviceSpec::new("127.0.0.9:6036".parse().unwrap()));
        assert_eq!(
            (spec.protocol_version(), spec.is_head(), spec.listens()),
            (3, false, true)
        );
    }

    #[test]
    fn passwords_never_show_in_debug_output() {
        let mut spec = DeviceSpec::new("127.0.0.9:0".parse().unwrap());
        spec.password = Password::new("do-not-show");
        assert!(!format!("{spec:?}").contains("do-not-show"));
    }

    #[test]
    fn unknown_keys_and_bad_texts_are_refused() {
        for text in [
            r#"{"ip": "127.0.0.9", "colour": 1}"#,
            r#"{"ip": "127.0.0.9", "mac": "58:5B:69"}"#,
            r#"{"ip": "127.0.0.9", "firmware": "5.2"}"#,
            r#"{"ip": "127.0.0.9", "kind": "teapot"}"#,
        ] {
            assert!(serde_json::from_str::<DeviceSpec>(text).is_err(), "{text}");
        }
    }
}
