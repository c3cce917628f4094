//! The messages in the frames.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::picture::PictureBytes;
use super::records::{
    CameraRow, ChannelRow, DeviceRecord, DiskRow, FoundRow, RecordingRow, WallClock,
};
use crate::model::secret::Secret;

/// The version of these messages. The agent takes a helper of its own version only.
pub const VERSION: u16 = 4;

/// How much of a text of the loader is kept, in characters.
const TEXT_MAX: usize = 2000;

/// A message that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// It is not what is expected here. The text holds no content, for that may be a password.
    #[error("not a message of this kind (line {line}, column {column})")]
    Malformed {
        /// The line of the JSON text, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The peer speaks another version.
    #[error("the helper speaks version {found}, version {VERSION} is needed")]
    Version {
        /// The version that it speaks.
        found: u16,
    },
}

impl From<serde_json::Error> for BadMessage {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// The first message of a helper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The version of the messages.
    pub version: u16,
    /// The processor that the helper was built for, as `x86_64`.
    pub arch: String,
    /// The library file, as it was asked for.
    pub path: String,
    /// What became of the library.
    pub library: Library,
    /// What became of the libraries that it may need.
    pub companions: Vec<Companion>,
}

/// What became of the vendor's library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Library {
    /// It is loaded and has what is needed.
    Ready {
        /// Its build number, as 60222 for 2023-02-22.
        build: u32,
        /// Its version word; opaque, shown in hexadecimal.
        version: u32,
        /// Functions that it lacks and that are not needed for a scan.
        missing: Vec<String>,
    },
    /// It cannot be loaded.
    NotLoaded {
        /// The loader's words.
        text: String,
    },
    /// It lacks functions without which nothing works.
    Incomplete {
        /// These functions.
        missing: Vec<String>,
    },
    /// It did not initialise itself.
    NotStarted,
}

/// One of the libraries that the vendor's library may need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Companion {
    /// What it is for, as `crypto`.
    pub name: String,
    /// The file that was loaded.
    pub loaded: Option<String>,
    /// Why none was loaded.
    pub trouble: Option<String>,
}

/// One call for the helper.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Logs in to the device; the answer is [`Answer::Device`].
    Login(Login),
    /// Reads the device's own record again; [`Answer::Device`].
    DeviceInfo,
    /// Lists the cameras behind a recorder's channels; [`Answer::Cameras`].
    Cameras,
    /// Lists all channels, analogue ones as well; [`Answer::Channels`].
    Channels,
    /// Reads the clock; [`Answer::Clock`].
    Clock,
    /// Lists the disks; [`Answer::Disks`].
    Disks,
    /// Lists what is being recorded; [`Answer::Recording`].
    Recording,
    /// Asks where a stream is had; [`Answer::RtspUrl`].
    RtspUrl(StreamChoice),
    /// Takes a picture of a channel, from 0; [`Answer::Picture`].
    Picture(u16),
    /// Sends a document to the recorder's web interface through the session; [`Answer::Document`].
    Tunnel(Tunnel),
    /// Starts the device again; [`Answer::Done`].
    Reboot,
    /// Looks for devices on this computer's networks, without a login; [`Answer::Found`].
    Search(Search),
    /// Logs out and ends the helper; [`Answer::Done`].
    Quit,
}

impl Request {
    /// The name of the call in messages for people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Login(_) => "login",
            Self::DeviceInfo => "device info",
            Self::Cameras => "camera list",
            Self::Channels => "channel list",
            Self::Clock => "clock",
            Self::Disks => "disk list",
            Self::Recording => "recording list",
            Self::RtspUrl(_) => "stream address",
            Self::Picture(_) => "picture",
            Self::Tunnel(_) => "web interface",
            Self::Search(_) => "search",
            Self::Reboot => "reboot",
            Self::Quit => "logout",
        }
    }

    /// Writes the message. The text may hold a password.
    ///
    /// # Errors
    ///
    /// [`BadMessage::Malformed`] where the serialiser fails, which it does not for these types.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, BadMessage> {
        // Room for the longest login: a growing buffer would leave copies of the password behind.
        let mut text = Zeroizing::new(Vec::with_capacity(4096));
        serde_json::to_writer(&mut *text, self)?;
        Ok(text)
    }

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`BadMessage::Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, BadMessage> {
        Ok(serde_json::from_slice(payload)?)
    }
}

/// Whom to log in as, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// An IP address; names are resolved by the agent, which has checked the address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The account's name.
    pub username: String,
    /// Its password.
    #[serde(serialize_with = "exposed", deserialize_with = "secret")]
    pub password: Secret,
    /// The time for one connection, in milliseconds; more than 300.
    pub connect_ms: u32,
    /// How to reach the device by its serial number; `host` and `port` are not used then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<NatRoute>,
}

/// The way to a device through a server of the vendor's that both sides can reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatRoute {
    /// The device's serial number.
    pub serial: String,
    /// The server's name or address.
    pub server: String,
    /// Its port, UDP.
    pub port: u16,
    /// How the server is spoken to.
    pub kind: NatKind,
}

/// The generations of the vendor's servers. Wire source: `connect_type` of `NET_SDK_LoginEx`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NatKind {
    /// NAT 1.0: the server is named with the login.
    Nat,
    /// NAT 2.0: the server is set once in a process.
    #[default]
    Nat20,
}

impl NatKind {
    /// The name used on the command line and in files; pytvt's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Nat20 => "nat20",
        }
    }
}

/// One document for a recorder's web interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// The path without a slash at its start, as `queryUserList`.
    pub path: String,
    /// The document, XML.
    pub body: String,
}

/// How long to look for devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Whole seconds, 1 to 60; the call takes all of them.
    pub seconds: u8,
}

fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// One stream of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamChoice {
    /// The channel, from 0.
    pub channel: u16,
    /// 0 is the main stream, 1 the sub stream.
    pub stream: u8,
}

/// What the helper answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The device's own record.
    Device(DeviceRecord),
    /// The cameras behind the channels, in the library's order.
    Cameras(Vec<CameraRow>),
    /// The channels, in the library's order.
    Channels(Vec<ChannelRow>),
    /// The device's wall clock.
    Clock(WallClock),
    /// The disks, in the library's order.
    Disks(Vec<DiskRow>),
    /// What is being recorded, in the library's order.
    Recording(Vec<RecordingRow>),
    /// Where a stream is had, without a credential; nothing where that cannot be shown.
    RtspUrl(Option<String>),
    /// What the library gave as a picture.
    Picture(PictureBytes),
    /// What the recorder's web interface answered, without the NULs at its end; invalid UTF-8 is marked.
    Document(String),
    /// The devices that answered a search, in the library's order.
    Found(Vec<FoundRow>),
    /// It was done.
    Done,
    /// It was not done.
    Failed(CallFailure),
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFailure {
    /// The vendor's function, as `NET_SDK_Login`.
    pub function: String,
    /// Why.
    pub reason: Reason,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reason {
    /// The library gave this number; see [`super::meaning`].
    Number(u32),
    /// The library gave no reason.
    Unsaid,
    /// The library's records are not laid out as expected; nothing of them is used.
    Layout(String),
    /// This build of the library lacks the function.
    Missing,
    /// The request makes no sense now, as a second login.
    Order,
    /// The request cannot be passed on, as a name with a NUL.
    Argument,
}

macro_rules! message {
    ($($name:ident)+) => {
        $(impl $name {
            /// Writes the message.
            ///
            /// # Errors
            ///
            /// [`BadMessage::Malformed`] where the serialiser fails, which it does not for these types.
            pub fn encode(&self) -> Result<Vec<u8>, BadMessage> {
                Ok(serde_json::to_vec(self)?)
            }
        })+
    };
}

message! { Hello Answer }

impl Hello {
    /// Reads the first message of a helper.
    ///
    /// # Errors
    ///
    /// [`BadMessage`].
    pub fn decode(payload: &[u8]) -> Result<Self, BadMessage> {
        #[derive(Deserialize)]
        struct Head {
            version: u16,
        }
        let head: Head = serde_json::from_slice(payload)?;
        if head.version != VERSION {
            return Err(BadMessage::Version {
                found: head.version,
            });
        }
        Ok(serde_json::from_slice(payload)?)
    }

    /// A text of the loader, cut to a length that fits into a message.
    #[must_use]
    pub fn text(text: &str) -> String {
        text.chars()
            .take(TEXT_MAX)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    }
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`BadMessage::Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, BadMessage> {
        Ok(serde_json::from_slice(payload)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn login(password: &str) -> Request {
        Request::Login(Login {
            host: "192.0.2.7".into(),
            port: 6036,
            username: "admin".into(),
            password: Secret::new(password),
            connect_ms: 3000,
            nat: None,
        })
    }

    #[test]
    fn messages_keep_their_form() {
        let text = |message: &[u8]| String::from_utf8(message.to_vec()).unwrap();
        assert_eq!(
            text(&login("p\"w").encode().unwrap()),
            r#"{"login":{"host":"192.0.2.7","port":6036,"username":"admin","password":"p\"w","connect_ms":3000}}"#
        );
        assert_eq!(text(&Request::Cameras.encode().unwrap()), r#""cameras""#);
        let failed = Answer::Failed(CallFailure {
            function: "NET_SDK_Login".into(),
            reason: Reason::Number(1),
        });
        assert_eq!(
            text(&failed.encode().unwrap()),
            r#"{"failed":{"function":"NET_SDK_Login","reason":{"number":1}}}"#
        );
    }

    #[test]
    fn a_password_does_not_show_in_debug_or_errors() {
        let request = login("hunter2");
        assert!(!format!("{request:?}").contains("hunter2"));
        let mut text = request.encode().unwrap();
        text.pop();
        let error = Request::decode(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn another_version_is_told_apart_from_nonsense() {
        let found = |text: &[u8]| Hello::decode(text).unwrap_err();
        let text = br#"{"version":1,"anything":true}"#;
        assert_eq!(found(text), BadMessage::Version { found: 1 });
        assert!(matches!(found(b"{}"), BadMessage::Malformed { .. }));
    }

    proptest! {
        #[test]
        fn rows_survive_the_pipe(name in ".{0,40}", channel: u16, online: bool, port: u16) {
            let row = CameraRow { channel, online, name, port, ..CameraRow::default() };
            let answer = Answer::Cameras(vec![row]);
            prop_assert_eq!(Answer::decode(&answer.encode().unwrap()).unwrap(), answer);
        }

        #[test]
        fn passwords_survive_the_pipe(password in ".{0,40}") {
            let sent = login(&password).encode().unwrap();
            let Request::Login(found) = Request::decode(&sent).unwrap() else {
                panic!("not a login")
            };
            prop_assert_eq!(found.password.expose(), password);
        }

        #[test]
        fn arbitrary_text_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Hello::decode(&bytes), Request::decode(&bytes), Answer::decode(&bytes));
        }
    }
}
