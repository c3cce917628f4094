//! The RTSP server of a recorder or camera: one key frame after a while, over the same connection.

mod rtp;
mod server;
mod spec;

pub use spec::{RtspFault, RtspLogin, RtspSpec, VideoCodec};

pub(crate) use server::serve;
