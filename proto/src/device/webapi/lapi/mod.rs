//! The prefixed dialect: `/LAPI/V1.0/<group>/…`, documents without a namespace, known from pytvt
//! 0.5.1 only. Its numbers for failures are not those of the flat dialect.

mod read;
mod request;
mod status;

pub use read::{
    audio, channels, clock, disks, image, info, osd, recording, recording_days, segments, streams,
};
pub use request::{BASE, document_of, request};
pub use status::{Status, document};
