//! When the coordinator's own credentials end. After that moment the server lets it in no more.

use tvtfleet_bus::trust::Lifetime;
use tvtfleet_bus::{BusError, ConnectOptions};
use tvtfleet_proto::model::checkup::{Finding, Level};
use tvtfleet_proto::model::time::UtcMillis;

use super::certificate::of_end;

/// Looks at the credentials file that the settings name; no finding where they name none.
pub(super) fn look(options: &ConnectOptions, now: UtcMillis) -> Option<Finding> {
    let path = options.credentials_file.as_ref()?;
    let name = path.display().to_string();
    judge(&name, options.credentials_lifetime(), now)
}

fn judge(name: &str, read: Result<Option<Lifetime>, BusError>, now: UtcMillis) -> Option<Finding> {
    let life = match read {
        Ok(life) => life?,
        Err(error) => {
            // Not the cause: the file holds a private key.
            let found = Finding::ok("credentials", name, error.to_string());
            return Some(found.worse(Level::Fail, "look at the file and its mode"));
        }
    };
    let Some(end) = life.expires_at else {
        return Some(Finding::ok("credentials", name, "valid without end"));
    };
    let found = Finding::ok("credentials", name, format!("valid until {end}"));
    Some(of_end(found, end, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tvtfleet_bus::trust;

    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn file(expires_at: Option<UtcMillis>, mode: u32) -> (tempfile::TempDir, ConnectOptions) {
        let (account, user) = (trust::KeyPair::new_account(), trust::KeyPair::new_user());
        let key = account.public_key();
        let token = trust::scoped_user(
            "coordinator",
            &user.public_key(),
            &key,
            &account,
            UtcMillis::new(0),
            expires_at,
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.creds");
        let text = trust::credentials(&token, &user).unwrap();
        std::fs::write(&path, text.expose()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let options = ConnectOptions {
            credentials_file: Some(path),
            ..ConnectOptions::default()
        };
        (folder, options)
    }

    #[test]
    fn the_end_of_credentials_is_judged() {
        let end = UtcMillis::new(1_000 * DAY);
        let before = |days: i64| UtcMillis::new(end.millis() - days * DAY);
        let (_folder, options) = file(Some(end), 0o600);
        let at = |days| look(&options, before(days)).unwrap();
        assert_eq!(at(60).level, Level::Ok);
        assert!(at(60).text.contains(&end.to_string()), "{}", at(60).text);
        assert_eq!(at(20).level, Level::Warn);
        assert_eq!(at(0).level, Level::Fail);
        assert!(!at(0).advice.is_empty());
    }

    #[test]
    fn credentials_without_end_are_well_and_none_are_no_finding() {
        let (_folder, options) = file(None, 0o600);
        let found = look(&options, UtcMillis::new(i64::MAX)).unwrap();
        assert_eq!(
            (found.level, found.text.as_str()),
            (Level::Ok, "valid without end")
        );
        assert_eq!(look(&ConnectOptions::default(), UtcMillis::new(0)), None);
    }

    #[test]
    fn a_file_that_cannot_be_used_fails_without_showing_it() {
        let (_folder, options) = file(None, 0o644);
        let open = look(&options, UtcMillis::new(0)).unwrap();
        assert_eq!(open.level, Level::Fail);
        let (_folder, options) = file(None, 0o600);
        let path = options.credentials_file.as_ref().unwrap();
        let pair = trust::KeyPair::new_user();
        let text = trust::credentials("SECRET.!.x", &pair).unwrap();
        std::fs::write(path, text.expose()).unwrap();
        let odd = look(&options, UtcMillis::new(0)).unwrap();
        assert_eq!(odd.level, Level::Fail);
        assert!(!odd.text.contains("SECRET"), "{}", odd.text);
    }
}
