//! The ways in which a generated recorder can be broken.

use serde::{Deserialize, Serialize};

use crate::device::{DeviceSpec, Fault, ForeignServer, Kind, Password, Phase};

/// One way in which a generated recorder is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Broken {
    /// The password is another one.
    WrongPassword,
    /// Nothing listens.
    Absent,
    /// Accepts and never sends.
    Silent,
    /// Accepts and closes.
    Close,
    /// No tunnelled path answers.
    NoCameras,
    /// Tunnel requests are never answered.
    TunnelMute,
    /// A zero byte follows the content of a tunnel reply.
    NulTail,
    /// The greeting comes one byte every half second.
    Drip,
    /// Every login is told that the device is busy.
    Busy,
    /// The password must be changed first.
    PasswordChange,
    /// The connection is reset instead of the login reply.
    Reset,
    /// The connection ends inside the login reply.
    Truncated,
    /// The login reply has an impossible length.
    BadLength,
    /// A web server listens on the port.
    Http,
    /// An SSH server listens on the port.
    Ssh,
}

impl Broken {
    /// Breaks a healthy recorder.
    pub(crate) fn apply(self, spec: &mut DeviceSpec) {
        let login = Phase::Login;
        let fault = match self {
            Self::WrongPassword => {
                spec.password = Password::new("not-the-fleet-password");
                return;
            }
            Self::NoCameras => {
                spec.kind = Kind::Nocams;
                spec.cameras.clear();
                return;
            }
            Self::Absent => return spec.kind = Kind::Absent,
            Self::Silent => return spec.kind = Kind::Silent,
            Self::Close => return spec.kind = Kind::Close,
            Self::TunnelMute => return spec.kind = Kind::TunnelMute,
            Self::NulTail => return spec.kind = Kind::NulTail,
            Self::Drip => return spec.kind = Kind::Drip,
            Self::Busy => Fault::LoginCode { code: 3 },
            Self::PasswordChange => Fault::LoginCode { code: 0x1E },
            Self::Reset => Fault::Reset { phase: login },
            Self::Truncated => Fault::CloseMidFrame {
                phase: login,
                at: 40,
            },
            Self::BadLength => Fault::FrameLength {
                phase: login,
                value: 15,
            },
            Self::Http => Fault::ForeignServer {
                server: ForeignServer::Http,
            },
            Self::Ssh => Fault::ForeignServer {
                server: ForeignServer::Ssh,
            },
        };
        spec.faults.push(fault.into());
    }
}
