//! The change of a recorder's own password, for the account that logs in.
//!
//! Both passwords are in the site's vault before anything begins, under two labels, and neither leaves
//! it but to the recorder: whatever happens, one of the two is right. What may break off, and what the
//! next start of the agent does:
//!
//! | broken off | on the recorder | then |
//! |---|---|---|
//! | before the intent is noted | the old one | asked anew, as if nothing had been |
//! | after that, before the recorder has it | the old one | the new one is refused, the old one works: `failed`, not sent again |
//! | after the recorder has it | the new one | the new one works, the old one is refused: `changed` |
//! | the recorder cannot be reached | one of the two | `unknown`; the same look by hand settles it |
//!
//! The new password counts when a new session logs in with it and the old one is refused. That refusal
//! is the one wrong try that a change costs. The cameras' passwords that a recorder keeps are not
//! touched.

use tvtfleet_proto::device::cgi::{Errand, set_password};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::answer::{Answer as Found, DeviceChange};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Credential;

use super::cgi::CgiDevice;
use super::change::Editor as _;
use super::failure;
use crate::device::gate::LoginGate;
use crate::device::interface::Answer;
use crate::device::order::{
    CHANGED, ChangeOrder, FAILED, UNCHANGED, UNKNOWN, WOULD_CHANGE, answer, unknown, with,
};
use crate::device::visit::Visit;

/// The longest password of the recorders' pages, in characters.
const LONGEST: usize = 16;
/// The shortest password of strong levels.
const STRONG: usize = 8;

/// What a login with a credential shows.
#[derive(Debug)]
enum Login {
    Works,
    Refused,
    /// Nobody knows.
    Open(Failure),
}

impl CgiDevice<'_> {
    /// Changes the password of the account, or looks what became of a change.
    pub(super) async fn set_password(
        &mut self,
        order: &ChangeOrder<'_>,
    ) -> Result<Answer, Failure> {
        let old = self.credential()?;
        let label = order.order.new_credential.as_ref();
        let new = label.and_then(|label| self.visit.site.credentials.find(Some(label)));
        let Some(new) = new else {
            let text = "the site has no credential under the label of the new password";
            return Err(Failure::new(ErrorCode::CredentialMissing, text));
        };
        let change = DeviceChange {
            setting: Some("password".to_owned()),
            old: Some(old.username.clone()),
            new: label.map(ToString::to_string),
            ..DeviceChange::default()
        };
        if order.settling.is_some() {
            return Ok(self.settle_password(old, &new, &change, None).await);
        }
        check(old, &new)?;
        if old.password.expose() == new.password.expose() {
            return Ok(answer(vec![with(&change, UNCHANGED)], None));
        }
        self.check_policy(&new).await?;
        if order.order.dry_run {
            return Ok(answer(vec![with(&change, WOULD_CHANGE)], None));
        }
        order.intend(vec![change.clone()]).await?;
        let write = set_password(&self.session, &old.password, &new.password)
            .map_err(|trouble| failure(trouble, false))?;
        let lost = match self.write(&write).await {
            Ok(Ok(())) => None,
            Ok(Err(trouble)) => {
                let why = failure(trouble, false);
                return Ok(answer(vec![with(&change, FAILED)], Some(why)));
            }
            Err(lost) if lost.code.kind() == ErrorKind::Cancelled => {
                return Ok(answer(vec![with(&change, UNKNOWN)], Some(unknown(&lost))));
            }
            Err(lost) => Some(lost),
        };
        // The recorder ends the session by itself.
        self.leave().await;
        Ok(self.settle_password(old, &new, &change, lost).await)
    }

    /// Finds out which of the two passwords is right, with one wrong try at most.
    async fn settle_password(
        &self,
        old: &Credential,
        new: &Credential,
        change: &DeviceChange,
        lost: Option<Failure>,
    ) -> Answer {
        let row = |outcome| vec![with(change, outcome)];
        let unverified = |text: &str| Some(Failure::new(ErrorCode::ChangeUnverified, text));
        match self.try_login(new).await {
            Login::Open(why) => answer(row(UNKNOWN), Some(unknown(&why))),
            Login::Works => match self.try_login(old).await {
                Login::Refused => answer(row(CHANGED), None),
                Login::Works => answer(
                    row(FAILED),
                    unverified("the old password still works as well"),
                ),
                Login::Open(why) => {
                    let why = Failure::new(
                        ErrorCode::ChangeUnverified,
                        format!(
                            "the new password works; whether the old one does is unknown: {}",
                            why.text
                        ),
                    );
                    answer(row(UNKNOWN), Some(why))
                }
            },
            Login::Refused => match self.try_login(old).await {
                Login::Works => {
                    let text = "the old password is still right and the new one is not; nothing is sent again";
                    answer(row(FAILED), lost.or_else(|| unverified(text)))
                }
                Login::Refused => {
                    let why = Failure::new(
                        ErrorCode::LoginRejected,
                        "the recorder refuses both passwords",
                    );
                    answer(row(UNKNOWN), Some(unknown(&why)))
                }
                Login::Open(why) => answer(row(UNKNOWN), Some(unknown(&why))),
            },
        }
    }

    /// Logs in once, in a session of its own.
    async fn try_login(&self, credential: &Credential) -> Login {
        let visit = Visit {
            gate: LoginGate {
                credential: Some(credential),
                ..self.visit.gate
            },
            ..self.visit
        };
        let mut device = CgiDevice::new(visit, true);
        match device.login(credential).await {
            Ok(()) => {
                device.leave().await;
                Login::Works
            }
            Err(error) if error.code == ErrorCode::LoginRejected => Login::Refused,
            Err(error) => Login::Open(error),
        }
    }

    async fn check_policy(&mut self, new: &Credential) -> Result<(), Failure> {
        let Some(errand) = Errand::new(Ask::PasswordPolicy, None) else {
            return Ok(());
        };
        let found = self.errand(Ask::PasswordPolicy, errand).await?;
        let Some(Found::PasswordPolicy(policies)) = found.answer else {
            return Ok(());
        };
        let level = policies
            .first()
            .and_then(|policy| policy.min_strength.clone());
        let level = level.unwrap_or_default();
        if fits(&level, new.password.expose()) {
            return Ok(());
        }
        let text = format!("the recorder wants a {level} password, and the new one is weaker");
        Err(Failure::new(ErrorCode::ChangeInvalid, text))
    }
}

/// What needs no recorder to be seen.
fn check(old: &Credential, new: &Credential) -> Result<(), Failure> {
    let refuse = |text: &str| Err(Failure::new(ErrorCode::ChangeInvalid, text));
    if old.username != new.username {
        return refuse("the new password is for another user name");
    }
    let password = new.password.expose();
    if password.is_empty() || password.chars().count() > LONGEST {
        return refuse("recorders take passwords of 1 to 16 characters");
    }
    if !password.chars().all(|letter| letter.is_ascii_graphic()) {
        return refuse(
            "recorders take passwords of letters, digits and signs of ASCII, without blanks",
        );
    }
    Ok(())
}

/// Whether a password fits a level. UNCERTAIN what exactly each level asks for; a recorder that refuses
/// says so itself. Taken as: 8 characters and 2 kinds of them for medium, 3 for strong, 4 for stronger.
fn fits(level: &str, password: &str) -> bool {
    let kinds: [fn(&char) -> bool; 4] = [
        char::is_ascii_lowercase,
        char::is_ascii_uppercase,
        char::is_ascii_digit,
        char::is_ascii_punctuation,
    ];
    let found = kinds
        .iter()
        .filter(|kind| password.chars().any(|letter| kind(&letter)))
        .count();
    let wanted = match level {
        "medium" => 2,
        "strong" => 3,
        "stronger" => 4,
        _ => return true,
    };
    found >= wanted && password.len() >= STRONG
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::secret::Secret;

    #[test]
    fn levels_ask_for_length_and_kinds() {
        for (level, password, expected) in [
            ("weak", "a", true),
            ("medium", "abcdefg1", true),
            ("medium", "abc1", false),
            ("strong", "abcdefg1", false),
            ("strong", "Abcdefg1", true),
            ("stronger", "Abcdefg1", false),
            ("stronger", "Abcdef-1", true),
        ] {
            assert_eq!(fits(level, password), expected, "{level}");
        }
    }

    #[test]
    fn what_no_recorder_takes_is_not_sent() {
        let of = |user: &str, password: &str| Credential {
            username: user.into(),
            password: Secret::new(password),
        };
        let old = of("admin", "Old-2026");
        assert!(check(&old, &of("admin", "New-2026")).is_ok());
        for new in [
            of("root", "New-2026"),
            of("admin", ""),
            of("admin", "seventeen-letters"),
            of("admin", "with blank"),
            of("admin", "Schlüssel-1"),
        ] {
            assert_eq!(
                check(&old, &new).unwrap_err().code,
                ErrorCode::ChangeInvalid
            );
        }
    }
}
