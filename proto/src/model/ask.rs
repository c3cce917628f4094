//! The closed vocabulary of what can be asked of a device.
//!
//! Job messages, the agent's drivers, the command line and the audit trail all use it, so that a new
//! question shows up as a compile error wherever it must be handled.

use std::fmt;
use std::str::FromStr;

use crate::device::picture::VideoStream;
use crate::model::id::CredentialLabel;

/// One question to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// Who are you, and which channels do you have? Needs a login.
    Scan,
    /// What do you say before anybody logs in? Sends nothing.
    Probe,
    /// Who are you, in your own words?
    Info,
    /// Which channels do you have, and which cameras stand behind them?
    Channels,
    /// Which disks do you have, and how are they?
    Disks,
    /// What time is it?
    Clock,
    /// Who may log in?
    Users,
    /// What do you ask of passwords?
    PasswordPolicy,
    /// On which ports do you listen?
    Ports,
    /// Which services are switched on?
    Services,
    /// How do you set up the pictures?
    Image,
    /// How do you encode video?
    Streams,
    /// How do you handle sound?
    Audio,
    /// What do you write into the pictures?
    Osd,
    /// What are you recording now?
    Recording,
    /// On which days have you recorded?
    RecordingDays,
    /// From when to when have you recorded?
    RecordingSegments,
    /// Where is your video had?
    RtspUrl,
    /// To which platform do you report?
    Platform,
    /// What do your cameras see?
    Snapshot,
    /// Do the credentials that you keep for your cameras work?
    CameraLogins,
    /// How do you detect motion?
    Motion,
    /// Set your clock.
    SetClock,
    /// Switch your services on or off.
    SetServices,
    /// Set up the pictures so.
    SetImage,
    /// Encode video so.
    SetStreams,
    /// Handle sound so.
    SetAudio,
    /// Write this into the pictures.
    SetOsd,
    /// Report to this platform.
    SetPlatform,
    /// Start again.
    Reboot,
    /// Change the password of the account that asks.
    SetPassword,
    /// Which devices are there? Asked of a site, not of a device; sends no credential.
    Discover,
}

impl Ask {
    /// Every question.
    pub const ALL: &'static [Self] = &[
        Self::Scan,
        Self::Probe,
        Self::Info,
        Self::Channels,
        Self::Disks,
        Self::Clock,
        Self::Users,
        Self::PasswordPolicy,
        Self::Ports,
        Self::Services,
        Self::Image,
        Self::Streams,
        Self::Audio,
        Self::Osd,
        Self::Recording,
        Self::RecordingDays,
        Self::RecordingSegments,
        Self::RtspUrl,
        Self::Platform,
        Self::Snapshot,
        Self::CameraLogins,
        Self::Motion,
        Self::SetClock,
        Self::SetServices,
        Self::SetImage,
        Self::SetStreams,
        Self::SetAudio,
        Self::SetOsd,
        Self::SetPlatform,
        Self::Reboot,
        Self::SetPassword,
        Self::Discover,
    ];

    /// The name used on the command line, in files and in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Probe => "probe",
            Self::Info => "info",
            Self::Channels => "channels",
            Self::Disks => "disks",
            Self::Clock => "clock",
            Self::Users => "users",
            Self::PasswordPolicy => "password-policy",
            Self::Ports => "ports",
            Self::Services => "services",
            Self::Image => "image",
            Self::Streams => "streams",
            Self::Audio => "audio",
            Self::Osd => "osd",
            Self::Recording => "recording",
            Self::RecordingDays => "recording-days",
            Self::RecordingSegments => "recording-segments",
            Self::RtspUrl => "rtsp-url",
            Self::Platform => "platform",
            Self::Snapshot => "snapshot",
            Self::CameraLogins => "camera-logins",
            Self::Motion => "motion",
            Self::SetClock => "set-clock",
            Self::SetServices => "set-services",
            Self::SetImage => "set-image",
            Self::SetStreams => "set-streams",
            Self::SetAudio => "set-audio",
            Self::SetOsd => "set-osd",
            Self::SetPlatform => "set-platform",
            Self::Reboot => "reboot",
            Self::SetPassword => "set-password",
            Self::Discover => "discover",
        }
    }

    /// Whether the device asks for a login before it answers.
    #[must_use]
    pub const fn needs_login(self) -> bool {
        !matches!(self, Self::Probe | Self::Discover)
    }

    /// Whether the ask may change the device: it then comes with an order, and the site's policy must
    /// name it.
    #[must_use]
    pub const fn changes_device(self) -> bool {
        self.reads().is_some() || matches!(self, Self::Reboot | Self::SetPassword)
    }

    /// The question whose answer shows what a changing ask sets; `None` for all others.
    #[must_use]
    pub const fn reads(self) -> Option<Self> {
        match self {
            Self::SetClock => Some(Self::Clock),
            Self::SetServices => Some(Self::Services),
            Self::SetImage => Some(Self::Image),
            Self::SetStreams => Some(Self::Streams),
            Self::SetAudio => Some(Self::Audio),
            Self::SetOsd => Some(Self::Osd),
            Self::SetPlatform => Some(Self::Platform),
            Self::Scan
            | Self::Probe
            | Self::Info
            | Self::Channels
            | Self::Disks
            | Self::Clock
            | Self::Users
            | Self::PasswordPolicy
            | Self::Ports
            | Self::Services
            | Self::Image
            | Self::Streams
            | Self::Audio
            | Self::Osd
            | Self::Recording
            | Self::RecordingDays
            | Self::RecordingSegments
            | Self::RtspUrl
            | Self::Platform
            | Self::Snapshot
            | Self::CameraLogins
            | Self::Motion
            | Self::Reboot
            | Self::SetPassword
            | Self::Discover => None,
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a question is about, where it could be about more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskScope {
    /// The only channel, from 1; `None` is every one.
    pub channel: Option<u32>,
    /// The start of a search, on the device's clock: `YYYY-MM-DD HH:MM:SS`. Empty where nothing is
    /// searched.
    pub from: String,
    /// The end of a search.
    pub to: String,
    /// The stream that pictures are of; `None` is whatever shows what the camera sees.
    pub stream: Option<VideoStream>,
    /// Pictures are taken from the cameras themselves, with the credential of this label; `None` is
    /// through the recorder.
    pub camera: Option<CredentialLabel>,
}

/// No question of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown ask {0:?}")]
pub struct UnknownAsk(pub String);

impl FromStr for Ask {
    type Err = UnknownAsk;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|ask| ask.as_str() == text)
            .ok_or_else(|| UnknownAsk(text.chars().take(40).collect()))
    }
}
