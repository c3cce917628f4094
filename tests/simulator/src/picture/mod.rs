//! Pictures that say what they are of, and their encodings.
//!
//! A scene is a grid of flat squares of 16 by 16 pixels, so that every encoding here is a simple one:
//! JPEG with one coefficient a block, H.264 and H.265 with samples as they are. Who is in the picture
//! stands in its squares, bright for 1 and dark for 0.

mod bits;
mod h264;
mod h265;
mod jpeg;
mod scene;

pub use scene::{Mark, Scene};

pub(crate) use h264::h264;
pub(crate) use h265::h265;
pub(crate) use jpeg::{jpeg, tables};
