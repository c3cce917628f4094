//! What a session tells its driver.

use super::config::Compat;
use super::failure::Failure;
use super::head::HeadLogin;
use super::init::Init;
use super::login::{Protection, Variant};
use super::reply::StandardLogin;
use super::tunnel::{TunnelPath, TunnelTrouble};
use crate::error::ErrorCode;
use crate::model::channel::Channel;

/// Something the driver should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The device has greeted.
    Greeting(Box<Init>),
    /// The session would log in now, and waits for
    /// [`Session::proceed`](super::Session::proceed) or [`Session::deny`](super::Session::deny).
    ///
    /// The moment to look up the device's address in the attempt budget and to apply policy.
    LoginRequested(LoginOffer),
    /// The device has accepted the login.
    LoggedIn(Box<Login>),
    /// The session is over; nothing follows. A last frame may wait in
    /// [`Session::poll_transmit`](super::Session::poll_transmit); then the connection is closed.
    Finished(Box<Outcome>),
}

/// What a login would look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginOffer {
    /// The layout of the login.
    pub variant: Variant,
    /// What it does to the password.
    pub protection: Protection,
}

/// What the device said when it accepted the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A standard device.
    Standard(StandardLogin),
    /// A head-variant recorder.
    Head(HeadLogin),
}

/// The result of a session with everything learnt on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the device said about itself, if it greeted.
    pub greeting: Option<Init>,
    /// What it said when it accepted the login.
    pub login: Option<Login>,
    /// What was found, or why nothing was.
    pub result: Result<Findings, Failure>,
    /// Which paths were asked inside the session.
    pub tunnel: Vec<TunnelAttempt>,
    /// What was received.
    pub traffic: Traffic,
}

impl Outcome {
    /// The device's own name. Head-variant recorders do not say it; pytvt shows their serial number.
    #[must_use]
    pub fn device_name(&self, compat: Compat) -> &str {
        match (&self.login, compat) {
            (Some(Login::Standard(login)), _) => login.name(),
            (Some(Login::Head(login)), Compat::Pytvt051) => &login.serial,
            (Some(Login::Head(_)), Compat::None) | (None, _) => "",
        }
    }

    /// The device's serial number, where it says it: head-variant recorders only.
    #[must_use]
    pub fn serial_number(&self) -> Option<&str> {
        match &self.login {
            Some(Login::Head(login)) if !login.serial.is_empty() => Some(&login.serial),
            Some(Login::Head(_) | Login::Standard(_)) | None => None,
        }
    }

    /// The path that yielded the channels: the one to try first next time.
    #[must_use]
    pub fn working_path(&self) -> Option<TunnelPath> {
        self.tunnel
            .iter()
            .rev()
            .find(|attempt| attempt.cameras > 0)
            .map(|attempt| attempt.path)
    }
}

/// What a session found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The channels, in the device's order.
    pub channels: Vec<Channel>,
    /// What is missing; empty for a complete result. The login worked in any case.
    ///
    /// `device.tunnel_*`, `device.truncated`, `device.protocol`, `device.frame_too_large`,
    /// `device.no_channels`, `device.addresses_unknown`; each at most once.
    pub partial: Vec<ErrorCode>,
}

/// One path asked inside the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelAttempt {
    /// The path.
    pub path: TunnelPath,
    /// How many cameras it yielded.
    pub cameras: usize,
    /// Why it yielded none; `None` if the device answered well, though perhaps with no camera.
    pub trouble: Option<TunnelTrouble>,
}

/// What was received in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read.
    pub bytes: u64,
    /// Heartbeats.
    pub heartbeats: u32,
    /// Frames nobody asked for.
    pub pushed_frames: u32,
}
