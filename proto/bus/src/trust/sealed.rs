//! Boxes that only one reader can open: Curve25519 with XSalsa20-Poly1305, as the crate `nkeys` makes
//! them. A box proves who sealed it, but nothing about where it belongs: that has to stand inside.

use nkeys::XKey;
use tvtfleet_proto::wire::v1;

use super::token::TrustError;

/// A box and who sealed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBox {
    /// The public sealing key of the sender, which the reader needs to open it.
    pub sender: String,
    /// The box.
    pub bytes: Vec<u8>,
}

/// Seals `content` from `sender` to the holder of the public key `reader`.
///
/// # Errors
///
/// `trust.invalid` where `reader` is no sealing key.
pub fn seal(content: &[u8], sender: &XKey, reader: &str) -> Result<SealedBox, TrustError> {
    let reader = XKey::from_public_key(reader).map_err(TrustError::key("the reader's key"))?;
    let bytes = sender
        .seal(content, &reader)
        .map_err(TrustError::key("the sender's key"))?;
    Ok(SealedBox {
        sender: sender.public_key(),
        bytes,
    })
}

/// Opens a box. Whether the sender is who it should be, the caller must check.
///
/// # Errors
///
/// `trust.refused` where it is for somebody else or was changed; `trust.invalid`.
pub fn open(what: &'static str, sealed: &SealedBox, reader: &XKey) -> Result<Vec<u8>, TrustError> {
    let sender =
        XKey::from_public_key(&sealed.sender).map_err(TrustError::key("the sender's key"))?;
    reader
        .open(&sealed.bytes, &sender)
        .map_err(|_| TrustError::Sealed { what })
}

impl From<SealedBox> for v1::Sealed {
    fn from(sealed: SealedBox) -> Self {
        Self {
            sender: sealed.sender,
            r#box: sealed.bytes,
        }
    }
}

impl From<v1::Sealed> for SealedBox {
    fn from(sealed: v1::Sealed) -> Self {
        Self {
            sender: sealed.sender,
            bytes: sealed.r#box,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::error::ErrorCode;

    #[test]
    fn only_the_reader_opens_a_box_and_only_unchanged() {
        let (sender, reader, other) = (XKey::new(), XKey::new(), XKey::new());
        let mut sealed = seal(b"hunter2", &sender, &reader.public_key()).unwrap();
        assert_eq!(open("x", &sealed, &reader).unwrap(), b"hunter2");
        assert_eq!(
            open("x", &sealed, &other).unwrap_err().code(),
            ErrorCode::TrustRefused
        );
        let mut forged = sealed.clone();
        forged.sender = other.public_key();
        assert!(
            open("x", &forged, &reader).is_err(),
            "the sender is part of it"
        );
        *sealed.bytes.last_mut().unwrap() ^= 1;
        assert!(open("x", &sealed, &reader).is_err());
        for length in [0, 1, 27] {
            let short = SealedBox {
                bytes: vec![0; length],
                ..sealed.clone()
            };
            assert!(open("x", &short, &reader).is_err());
        }
        assert_eq!(
            seal(b"", &sender, "XNO").unwrap_err().code(),
            ErrorCode::TrustInvalid
        );
    }
}
