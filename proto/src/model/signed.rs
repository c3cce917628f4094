//! Statements that somebody signed, as messages carry them. Who signed, and whether that counts, is for
//! the reader to check.

/// A statement and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    /// The statement, byte for byte as it was signed.
    pub statement: Vec<u8>,
    /// The signature: Ed25519, 64 bytes.
    pub signature: Vec<u8>,
}
