//! Why bytes are no picture that can be used.

use crate::error::ErrorCode;

/// What is wrong with the bytes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Nothing came: recorders say so for channels without a camera.
    #[error("the picture is empty")]
    Empty,
    /// An HTML page or an XML document came.
    #[error("a document came instead of a picture")]
    Document,
    /// The bytes do not begin as a picture does.
    #[error("the answer is no JPEG picture")]
    NotJpeg,
    /// The picture has no end, or something else follows it.
    #[error("the picture is cut off")]
    CutOff,
    /// No frame header stands before the pixels.
    #[error("the picture has no frame header")]
    NoFrameHeader,
    /// A segment of the picture is damaged.
    #[error("the picture is damaged")]
    Damaged,
    /// It is larger than allowed, in bytes or in pixels.
    #[error("the picture is larger than allowed")]
    TooLarge,
    /// A key frame without the parameter sets that describe it.
    #[error("the key frame does not say how it is encoded")]
    NoParameters,
    /// A key frame without any picture data.
    #[error("the key frame holds no picture")]
    NoSlice,
    /// The video is encoded in a way that is not decoded.
    #[error("{0} is not decoded")]
    Unsupported(&'static str),
}

impl PictureError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Empty => ErrorCode::PictureEmpty,
            Self::Document | Self::NotJpeg => ErrorCode::PictureNotJpeg,
            Self::CutOff => ErrorCode::PictureCutOff,
            Self::NoFrameHeader | Self::Damaged | Self::NoParameters | Self::NoSlice => {
                ErrorCode::PictureDamaged
            }
            Self::TooLarge => ErrorCode::PictureTooLarge,
            Self::Unsupported(_) => ErrorCode::PictureNotDecoded,
        }
    }
}
