//! What a session is told to do, and what it may do.

use super::limits::Limits;
use super::tunnel::TunnelPath;

/// How far a session goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Read the greeting and stop. Nothing is sent and no credential is needed.
    Probe,
    /// Log in, read the channel list, log out.
    Scan,
}

/// Where the XOR key of a standard login comes from.
///
/// UNCERTAIN which of the two cameras with a non-zero `encryptType` want; one captured vendor login
/// on port 9008 settles it. Chosen once per device and never changed after a refused login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySource {
    /// Greeting bytes 44..47, for the password only, as pytvt does.
    #[default]
    LoginBytes,
    /// Greeting bytes 28..31, for user name and password.
    EncryptParam,
}

/// When the channel list is asked for inside the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TunnelMode {
    /// Where the login reply says that the device can do it, or is too short to say.
    #[default]
    Auto,
    /// Whenever the login reply brought no channels, as pytvt does.
    Always,
    /// Not at all.
    Never,
}

/// Whose habits to follow where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// tvtfleet's own rules.
    #[default]
    None,
    /// pytvt 0.5.1's: a head-variant serial number is shown as the device's name, a status of 0 stays
    /// empty, and all tunnel paths are tried with the last answer winning.
    Pytvt051,
}

/// The settings of one session.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// How far to go.
    pub goal: Goal,
    /// What may be used up.
    pub limits: Limits,
    /// Where the XOR key of a standard login comes from.
    pub key_source: KeySource,
    /// Whether a password may be sent in clear.
    pub allow_plaintext: bool,
    /// Whether a password may be sent under a key that is sent in clear.
    pub allow_xor: bool,
    /// Whether an empty password may be sent: only where the operator configured one on purpose.
    pub allow_empty_password: bool,
    /// When to ask for the channel list inside the session.
    pub tunnel: TunnelMode,
    /// The path that worked on this device before; it is tried first.
    pub tunnel_first: Option<TunnelPath>,
    /// Whose habits to follow.
    pub compat: Compat,
}

impl SessionConfig {
    /// The default settings for a goal: default limits, pytvt's key source, no login that shows the
    /// password.
    #[must_use]
    pub fn new(goal: Goal) -> Self {
        Self {
            goal,
            limits: Limits::default(),
            key_source: KeySource::default(),
            allow_plaintext: false,
            allow_xor: false,
            allow_empty_password: false,
            tunnel: TunnelMode::default(),
            tunnel_first: None,
            compat: Compat::default(),
        }
    }
}
