//! Pictures of cameras: whether bytes are one, what it shows, and what may be wrong with it.
//!
//! Every picture passes [`Jpeg::check`], whatever way it came; key frames are bounded by
//! [`key_frame`] before a decoder sees them. [`Look`] and [`Seen`] say what makes a picture doubtful,
//! and by which rule. Nothing here decodes pixels.

mod bits;
mod flag;
mod frame;
mod h264;
mod h265;
mod jpeg;
mod look;
mod stream;
mod trouble;

pub use flag::{Flag, Seen};
pub use frame::{Codec, KeyFrame, VideoFormat, key_frame, limits};
pub use jpeg::{Jpeg, framed};
pub use look::Look;
pub use stream::{UnknownStream, VideoStream, Way};
pub use trouble::PictureError;
