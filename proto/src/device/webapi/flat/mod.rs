//! The flat dialect: `/<Command>[/<channel>]`, answers in a `config` document.

mod read;
mod request;
mod result;

pub(in crate::device) use read::is_day;
pub use read::{
    SEGMENTS_MAX, StreamCap, StreamCaps, answer, apis, audio, channels, clock, disks, image, info,
    osd, ports, recording, recording_days, segments, stream_caps, streams,
};
pub use request::{config, request, search_by_time, set_image, snapshot_by_time};
pub use result::{FlatResult, Outcome, version_of};
