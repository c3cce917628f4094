//! The lock after wrong logins.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::spec::LockRule;

/// Usernames remembered at most; the one seen longest ago is not worth finding.
const USERNAME_LIMIT: usize = 1024;

/// Wrong tries and locks by username.
#[derive(Debug, Default)]
pub(crate) struct LockBook(BTreeMap<String, Account>);

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    wrong: u32,
    locked_until: Option<Instant>,
}

/// How a login try ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Right credentials, no lock.
    Welcome,
    /// Wrong credentials.
    Wrong,
    /// Wrong credentials, and this was the one try too many.
    WrongAndLocked,
    /// The username is locked, whatever the password.
    Locked,
}

impl LockBook {
    /// Judges one try and remembers it.
    pub(crate) fn judge(
        &mut self,
        username: &str,
        valid: bool,
        rule: &LockRule,
        now: Instant,
    ) -> Verdict {
        if let Some(until) = self
            .0
            .get(username)
            .and_then(|account| account.locked_until)
        {
            if now < until {
                return Verdict::Locked;
            }
            self.0.remove(username);
        }
        if valid {
            self.0.remove(username);
            return Verdict::Welcome;
        }
        if self.0.len() >= USERNAME_LIMIT && !self.0.contains_key(username) {
            self.0.pop_first();
        }
        let account = self.0.entry(username.to_owned()).or_default();
        account.wrong = account.wrong.saturating_add(1);
        if rule.tries == 0 || account.wrong < rule.tries {
            return Verdict::Wrong;
        }
        account.locked_until = now.checked_add(Duration::from_millis(rule.lock_ms));
        Verdict::WrongAndLocked
    }

    /// Forgets everything, as a reboot does.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_after_the_limit_and_opens_again() {
        let rule = LockRule {
            tries: 3,
            lock_ms: 1000,
            code: 4,
        };
        let mut book = LockBook::default();
        let start = Instant::now();
        assert_eq!(book.judge("admin", false, &rule, start), Verdict::Wrong);
        assert_eq!(book.judge("admin", false, &rule, start), Verdict::Wrong);
        assert_eq!(book.judge("other", false, &rule, start), Verdict::Wrong);
        assert_eq!(
            book.judge("admin", false, &rule, start),
            Verdict::WrongAndLocked
        );
        assert_eq!(book.judge("admin", true, &rule, start), Verdict::Locked);
        let later = start + Duration::from_millis(1000);
        assert_eq!(book.judge("admin", true, &rule, later), Verdict::Welcome);
        assert_eq!(book.judge("admin", false, &rule, later), Verdict::Wrong);
    }

    #[test]
    fn a_right_login_resets_the_count_and_zero_tries_never_lock() {
        let rule = LockRule {
            tries: 2,
            lock_ms: 1000,
            code: 4,
        };
        let mut book = LockBook::default();
        let now = Instant::now();
        assert_eq!(book.judge("admin", false, &rule, now), Verdict::Wrong);
        assert_eq!(book.judge("admin", true, &rule, now), Verdict::Welcome);
        assert_eq!(book.judge("admin", false, &rule, now), Verdict::Wrong);
        let never = LockRule { tries: 0, ..rule };
        assert_eq!(book.judge("admin", false, &never, now), Verdict::Wrong);
    }
}
