//! What a fleet file says about the RTSP server of a device.

use serde::{Deserialize, Serialize};

/// The RTSP server of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RtspSpec {
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// How video is encoded.
    pub codec: VideoCodec,
    /// How clients log in.
    pub login: RtspLogin,
    /// Parameter sets stand in the description only, not in the stream.
    pub sets_described: bool,
    /// Frames before the key frame.
    pub frames_before: u32,
    /// How many times larger H.264 and H.265 are than stills, across and down; 12 is 3840 by 2304.
    pub times: usize,
    /// What it does wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<RtspFault>,
}

impl Default for RtspSpec {
    fn default() -> Self {
        Self {
            port: 0,
            codec: VideoCodec::H264,
            login: RtspLogin::Digest,
            sets_described: false,
            frames_before: 3,
            times: 1,
            fault: None,
        }
    }
}

/// How video is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// H.264.
    H264,
    /// H.265.
    H265,
    /// JPEG pictures.
    Jpeg,
}

/// How clients log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtspLogin {
    /// They need not.
    Open,
    /// Basic only.
    Basic,
    /// Digest with MD5.
    Digest,
}

/// What an RTSP server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtspFault {
    /// It never answers.
    Mute,
    /// It asks for a login whatever it is shown, without counting wrong ones.
    AlwaysAsks,
    /// It serves as many streams as it can.
    Full,
    /// It speaks something else.
    Http,
    /// The description is not one.
    BadDescription,
    /// The description never ends.
    EndlessDescription,
    /// The description names a server that keeps streams after their connection is gone.
    OldServer,
    /// The description has sound only.
    NoVideo,
    /// A frame never ends.
    EndlessFrame,
    /// It sends frames for ever, none of which is a key frame.
    EndlessFrames,
    /// It stops after the stream was started.
    Stalls,
    /// It sends no key frame.
    NoKeyFrame,
    /// It hangs up in the middle of the key frame.
    BreaksOff,
    /// The parameter sets describe a picture that nobody can hold.
    Gigantic,
    /// The key frame uses a kind of H.264 that nobody decodes here.
    Undecodable,
}
