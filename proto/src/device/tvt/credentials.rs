//! What a user name and password must look like before a byte of them is sent.

use crate::error::ErrorCode;
use crate::model::secret::Credential;

use super::login::Variant;

/// Bytes of the user name and password fields of a standard login.
pub(super) const STANDARD_FIELD: usize = 32;
/// Bytes of the user name field of a head-variant login.
pub(super) const HEAD_USERNAME: usize = 64;
/// Longest password for a head-variant login. The wire has no limit, it carries a digest.
const HEAD_PASSWORD: usize = 128;

/// Why a credential cannot be sent. Says nothing about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFault {
    /// Something else than printable ASCII. The charset of devices is unknown, so a guess would
    /// only count as a wrong password.
    #[error("the user name or password has characters other than printable ASCII")]
    NotPrintableAscii,
    /// No user name.
    #[error("the user name is empty")]
    NoUsername,
    /// The user name is longer than the field.
    #[error("the user name is longer than the {0} bytes the device takes")]
    UsernameTooLong(usize),
    /// The password is longer than allowed.
    #[error("the password is longer than the {0} bytes the device takes")]
    PasswordTooLong(usize),
}

impl CredentialFault {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NotPrintableAscii | Self::NoUsername => ErrorCode::CredentialInvalid,
            Self::UsernameTooLong(_) => ErrorCode::UsernameTooLong,
            Self::PasswordTooLong(_) => ErrorCode::PasswordTooLong,
        }
    }
}

/// Checks a credential against the fields of a login. An empty password passes: whether it may be
/// sent is the session's question.
///
/// # Errors
///
/// A [`CredentialFault`], with `device.credential_invalid`, `device.username_too_long` or
/// `device.password_too_long`.
pub fn check_credential(credential: &Credential, variant: Variant) -> Result<(), CredentialFault> {
    let (username, password) = (credential.username.as_bytes(), credential.password.expose());
    let (username_field, password_field) = match variant {
        Variant::Standard => (STANDARD_FIELD, STANDARD_FIELD),
        Variant::Head => (HEAD_USERNAME, HEAD_PASSWORD),
    };
    let printable = |byte: &u8| matches!(byte, 0x20..=0x7E);
    if !username.iter().all(printable) || !password.as_bytes().iter().all(printable) {
        return Err(CredentialFault::NotPrintableAscii);
    }
    if username.is_empty() {
        return Err(CredentialFault::NoUsername);
    }
    if username.len() > username_field {
        return Err(CredentialFault::UsernameTooLong(username_field));
    }
    if password.len() > password_field {
        return Err(CredentialFault::PasswordTooLong(password_field));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    #[test]
    fn lengths_are_counted_per_variant() {
        let rows = [
            (32, 32, Variant::Standard, None),
            (33, 1, Variant::Standard, Some(ErrorCode::UsernameTooLong)),
            (1, 33, Variant::Standard, Some(ErrorCode::PasswordTooLong)),
            (64, 128, Variant::Head, None),
            (65, 1, Variant::Head, Some(ErrorCode::UsernameTooLong)),
            (1, 129, Variant::Head, Some(ErrorCode::PasswordTooLong)),
            (0, 1, Variant::Head, Some(ErrorCode::CredentialInvalid)),
            (1, 0, Variant::Standard, None),
        ];
        for (username, password, variant, expected) in rows {
            let credential = Credential {
                username: "u".repeat(username),
                password: Secret::new("p".repeat(password)),
            };
            let found = check_credential(&credential, variant)
                .err()
                .map(CredentialFault::code);
            assert_eq!(
                found, expected,
                "{username} and {password} bytes, {variant:?}"
            );
        }
    }

    #[test]
    fn only_printable_ascii_is_sent() {
        for bad in ["p\u{e4}ss", "a\0b", "tab\t", "del\u{7f}"] {
            for (username, password) in [(bad, "x"), ("admin", bad)] {
                let credential = Credential {
                    username: username.into(),
                    password: Secret::new(password),
                };
                let found = check_credential(&credential, Variant::Standard);
                assert_eq!(found, Err(CredentialFault::NotPrintableAscii));
            }
        }
    }
}
