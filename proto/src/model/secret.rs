//! Text that must never be shown.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A password or token. `Debug` and `Display` hide it, and its memory is overwritten on drop.
///
/// There is deliberately no `Serialize`: a secret crosses a border only where somebody wrote
/// [`Secret::expose`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of a secret text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Shows the text. Every caller is a place where the secret leaves its wrapper.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value of an `Authorization` header with this token.
    #[must_use]
    pub fn bearer(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.0))
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A user name with its password.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The account's name on the device.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let credential = Credential {
            username: "admin".into(),
            password: Secret::new("hunter2"),
        };
        assert!(!format!("{credential:?} {}", credential.password).contains("hunter2"));
        assert_eq!(credential.password.expose(), "hunter2");
    }
}
