//! Pictures of cameras: which way to try, taking them, looking at them.
//!
//! [`run_pictures`] takes the pictures of many devices and hands them over one by one, so that what is
//! held is bounded by devices at a time and the size of a picture. Every picture is checked by
//! `tvtfleet_proto::device::picture`; bytes of devices are decoded in processes of their own, within limits
//! of size, time and memory, and a key frame that cannot be decoded is kept as it came.

mod colour;
mod darkroom;
mod decode;
mod exchange;
mod ffmpeg;
mod order;
mod still;
mod studio;
mod turn;
mod visit;
mod work;
mod worker;

pub use darkroom::decode_if_asked;
pub use decode::to_jpeg;
pub use still::{Thumbnail, thumbnail};
pub use studio::Studio;
pub use visit::SnapshotSettings;
pub(crate) use visit::{take_picture, take_pictures};
pub use work::{
    CameraLogin, Picture, PictureAttempt, PictureChannel, PictureDevice, PictureEvent, PictureKind,
    PictureOptions, PictureWork, TakenPicture, run_pictures,
};
