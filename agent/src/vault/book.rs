//! The entries of the vault, and which of them serves a device. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::id::CredentialLabel;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::time::UtcMillis;
use zeroize::Zeroizing;

use super::selector::Selector;

/// The most entries of a vault.
const ENTRIES_MAX: usize = 1000;
/// The most labels of which a push is remembered.
const MARKS_MAX: usize = 4000;
/// The most selectors of an entry.
const SELECTORS_MAX: usize = 256;
/// Bytes of a fingerprint that are shown.
const FINGERPRINT_BYTES: usize = 8;

/// What is known of a device before anybody has logged in to it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Where it is.
    pub host: &'a Host,
    /// Its Ethernet address, where the inventory knows it.
    pub mac: Option<MacAddr>,
    /// Now.
    pub now: UtcMillis,
}

/// One credential and what it is for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The user name and the password.
    pub credential: Credential,
    /// The devices that it serves where a job names no label; none serves by its label only.
    pub selectors: Vec<Selector>,
    /// Counts the changes of this label, from 1 on.
    pub version: u64,
    /// When it may not be used any more.
    pub expires: Option<UtcMillis>,
}

impl Entry {
    /// What tells two credentials apart without showing either: of the label, the user name and the
    /// password. Whoever can guess a password can confirm the guess with it.
    #[must_use]
    pub fn fingerprint(&self, label: &CredentialLabel) -> String {
        let mut hash = Sha256::new();
        let user = self.credential.username.as_bytes();
        let password = self.credential.password.expose().as_bytes();
        for part in [
            b"tvtfleet credential 1",
            label.as_str().as_bytes(),
            user,
            password,
        ] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hash.update(length.to_be_bytes());
            hash.update(part);
        }
        let bytes: [u8; 32] = hash.finalize().into();
        let shown = bytes.iter().take(FINGERPRINT_BYTES);
        let shown: Vec<String> = shown.map(|byte| format!("{byte:02x}")).collect();
        shown.join(":")
    }

    fn is_expired(&self, now: UtcMillis) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

/// The push that a label took last. It stays when the label is taken out, so that an old push cannot
/// bring back what was in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    version: u64,
    push: String,
}

/// Why a push is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushFault {
    /// This version, or a newer one, is there or was there.
    #[error("version {0} is or was in the vault")]
    Replayed(u64),
    /// There is too much of something.
    #[error("{0}")]
    Full(&'static str),
}

/// The entries by label.
#[derive(Clone, Debug, Default)]
pub struct Book {
    entries: BTreeMap<CredentialLabel, Entry>,
    marks: BTreeMap<CredentialLabel, Mark>,
}

impl Book {
    /// The entries, by label.
    pub fn entries(&self) -> impl Iterator<Item = (&CredentialLabel, &Entry)> {
        self.entries.iter()
    }

    /// The entry of a label.
    #[must_use]
    pub fn entry(&self, label: &CredentialLabel) -> Option<&Entry> {
        self.entries.get(label)
    }

    /// Puts a credential under a label, in place of what was there. Returns its version.
    ///
    /// # Errors
    ///
    /// What is too much of it.
    pub fn set(
        &mut self,
        label: CredentialLabel,
        credential: Credential,
        selectors: Vec<Selector>,
        expires: Option<UtcMillis>,
    ) -> Result<u64, &'static str> {
        self.check_room(&label, &selectors)?;
        let before = self.entries.get(&label).map_or(0, |entry| entry.version);
        let version = before.saturating_add(1);
        let entry = Entry {
            credential,
            selectors,
            version,
            expires,
        };
        self.entries.insert(label, entry);
        Ok(version)
    }

    /// Puts a credential that was pushed under its label, with the push's own version. The same push
    /// again changes nothing.
    ///
    /// # Errors
    ///
    /// [`PushFault`].
    pub fn take_push(
        &mut self,
        label: CredentialLabel,
        entry: Entry,
        push: &str,
    ) -> Result<(), PushFault> {
        let mark = self.marks.get(&label);
        if mark.is_some_and(|mark| mark.version == entry.version && mark.push == push) {
            return Ok(());
        }
        let pushed = mark.map_or(0, |mark| mark.version);
        let here = self.entries.get(&label).map_or(0, |entry| entry.version);
        let newest = pushed.max(here);
        if entry.version <= newest {
            return Err(PushFault::Replayed(newest));
        }
        self.check_room(&label, &entry.selectors)
            .map_err(PushFault::Full)?;
        if self.marks.len() >= MARKS_MAX && !self.marks.contains_key(&label) {
            return Err(PushFault::Full("more than 4000 labels were pushed"));
        }
        let mark = Mark {
            version: entry.version,
            push: push.to_owned(),
        };
        self.marks.insert(label.clone(), mark);
        self.entries.insert(label, entry);
        Ok(())
    }

    fn check_room(
        &self,
        label: &CredentialLabel,
        selectors: &[Selector],
    ) -> Result<(), &'static str> {
        if selectors.len() > SELECTORS_MAX {
            return Err("more than 256 selectors for one label");
        }
        if self.entries.len() >= ENTRIES_MAX && !self.entries.contains_key(label) {
            return Err("more than 1000 labels");
        }
        Ok(())
    }

    /// Takes a label out. Returns whether it was there.
    pub fn remove(&mut self, label: &CredentialLabel) -> bool {
        self.entries.remove(label).is_some()
    }

    /// The credential of a label; without a label, that of the entry which names the device most
    /// closely. `None` where no entry does.
    ///
    /// # Errors
    ///
    /// `device.credential_ambiguous` where two entries name the device equally closely: none is tried
    /// then. `device.credential_expired`.
    pub fn choose(
        &self,
        label: Option<&CredentialLabel>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<&Credential>, Failure> {
        let found = match label {
            Some(label) => self.entries.get_key_value(label),
            None => self.closest(wanted)?,
        };
        match found {
            Some((label, entry)) if entry.is_expired(wanted.now) => Err(Failure::new(
                ErrorCode::CredentialExpired,
                format!("the credential {label} may not be used any more"),
            )),
            found => Ok(found.map(|(_, entry)| &entry.credential)),
        }
    }

    fn closest(&self, wanted: &Wanted<'_>) -> Result<Option<(&CredentialLabel, &Entry)>, Failure> {
        let mut best: Option<(u32, &CredentialLabel, &Entry)> = None;
        let mut rival = None;
        for (label, entry) in &self.entries {
            let closeness = entry.selectors.iter();
            let closeness = closeness.filter_map(|selector| selector.closeness(wanted));
            let Some(closeness) = closeness.max() else {
                continue;
            };
            match best {
                Some((most, ..)) if closeness < most => {}
                Some((most, ..)) if closeness == most => rival = Some(label),
                _ => (best, rival) = (Some((closeness, label, entry)), None),
            }
        }
        match (best, rival) {
            (Some((_, first, _)), Some(second)) => Err(Failure::new(
                ErrorCode::CredentialAmbiguous,
                format!("the credentials {first} and {second} are both for this device"),
            )),
            (best, _) => Ok(best.map(|(_, label, entry)| (label, entry))),
        }
    }

    /// The text that is sealed.
    pub(super) fn write(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let entries = self.entries.iter().map(|(label, entry)| {
            let stored = Stored {
                username: entry.credential.username.clone(),
                password: Zeroizing::new(entry.credential.password.expose().to_owned()),
                selectors: entry.selectors.iter().map(ToString::to_string).collect(),
                version: entry.version,
                expires_ms: entry.expires.map(UtcMillis::millis),
            };
            (label.to_string(), stored)
        });
        let marks = self.marks.iter();
        let marks = marks.map(|(label, mark)| (label.to_string(), mark.clone()));
        let text = Text {
            entries: entries.collect(),
            marks: marks.collect(),
        };
        serde_json::to_vec(&text).map(Zeroizing::new)
    }

    /// Reads the text that was sealed. `has_marks` is false for the first version, which had entries
    /// only.
    pub(super) fn read(text: &[u8], has_marks: bool) -> Result<Self, String> {
        let stored = if has_marks {
            serde_json::from_slice(text)
        } else {
            serde_json::from_slice(text).map(|entries| Text {
                entries,
                marks: BTreeMap::new(),
            })
        };
        // The parser's own words could show part of a password.
        let stored: Text = stored.map_err(|error| format!("line {}", error.line()))?;
        let (mut entries, mut marks) = (BTreeMap::new(), BTreeMap::new());
        for (label, mark) in stored.marks {
            let label = label.parse().map_err(|error| format!("{error}"))?;
            marks.insert(label, mark);
        }
        for (label, stored) in stored.entries {
            let label: CredentialLabel = label.parse().map_err(|error| format!("{error}"))?;
            let selectors = stored.selectors.iter().map(|text| text.parse());
            let selectors = selectors.collect::<Result<_, _>>();
            let entry = Entry {
                credential: Credential {
                    username: stored.username,
                    password: Secret::new(stored.password.as_str()),
                },
                selectors: selectors.map_err(|error: super::BadSelector| error.to_string())?,
                version: stored.version,
                expires: stored.expires_ms.map(UtcMillis::new),
            };
            entries.insert(label, entry);
        }
        Ok(Self { entries, marks })
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    entries: BTreeMap<String, Stored>,
    marks: BTreeMap<String, Mark>,
}

/// An entry inside the sealed part.
#[derive(Serialize, Deserialize)]
struct Stored {
    username: String,
    password: Zeroizing<String>,
    selectors: Vec<String>,
    version: u64,
    expires_ms: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(entries: &[(&str, &[&str])]) -> Book {
        let mut book = Book::default();
        for (label, selectors) in entries {
            let credential = Credential {
                username: (*label).to_owned(),
                password: Secret::new("pw"),
            };
            let selectors = selectors.iter().map(|text| text.parse().unwrap());
            book.set(
                label.parse().unwrap(),
                credential,
                selectors.collect(),
                None,
            )
            .unwrap();
        }
        book
    }

    fn chosen(book: &Book, host: &str, mac: Option<&str>) -> Result<Option<String>, ErrorCode> {
        let host: Host = host.parse().unwrap();
        let wanted = Wanted {
            host: &host,
            mac: mac.map(|mac| mac.parse().unwrap()),
            now: UtcMillis::new(1000),
        };
        let found = book.choose(None, &wanted);
        found
            .map(|found| found.map(|credential| credential.username.clone()))
            .map_err(|failure| failure.code)
    }

    #[test]
    fn the_closest_selector_serves_a_device() {
        let book = book(&[
            ("rest", &["any"]),
            ("net", &["10.0.0.0/8"]),
            ("near", &["10.0.1.0/24", "10.9.0.0/16"]),
            ("one", &["10.0.1.7"]),
            ("box", &["mac:00:18:ae:01:02:03"]),
            ("named", &["name:nvr-*"]),
            ("alone", &[]),
        ]);
        let is = |label: &str| Ok(Some(label.to_owned()));
        assert_eq!(chosen(&book, "192.0.2.1", None), is("rest"));
        assert_eq!(chosen(&book, "10.0.0.1", None), is("net"));
        assert_eq!(chosen(&book, "10.0.1.1", None), is("near"));
        assert_eq!(chosen(&book, "10.0.1.7", None), is("one"));
        assert_eq!(
            chosen(&book, "10.0.1.7", Some("00:18:ae:01:02:03")),
            is("box")
        );
        assert_eq!(chosen(&book, "NVR-3", None), is("named"));
    }

    #[test]
    fn of_two_equally_close_none_is_tried() {
        let book = book(&[
            ("a", &["10.0.0.0/24"]),
            ("b", &["10.0.0.0/24"]),
            ("c", &["any"]),
        ]);
        assert_eq!(
            chosen(&book, "10.0.0.1", None),
            Err(ErrorCode::CredentialAmbiguous)
        );
        assert_eq!(chosen(&book, "10.0.1.1", None), Ok(Some("c".into())));
        assert_eq!(chosen(&Book::default(), "10.0.1.1", None), Ok(None));
    }

    #[test]
    fn what_has_expired_is_not_used_and_nothing_else_in_its_place() {
        let mut book = book(&[("rest", &["any"])]);
        let credential = Credential {
            username: "x".into(),
            password: Secret::new("pw"),
        };
        let (one, expires) = ("one".parse().unwrap(), Some(UtcMillis::new(1000)));
        let selectors = vec!["10.0.0.1".parse().unwrap()];
        assert_eq!(book.set(one, credential, selectors, expires), Ok(1));
        assert_eq!(
            chosen(&book, "10.0.0.1", None),
            Err(ErrorCode::CredentialExpired)
        );
        assert_eq!(chosen(&book, "10.0.0.2", None), Ok(Some("rest".into())));
    }

    #[test]
    fn versions_count_and_fingerprints_differ() {
        let mut book = book(&[("a", &["any"])]);
        let label: CredentialLabel = "a".parse().unwrap();
        let before = book.entry(&label).unwrap().fingerprint(&label);
        let credential = Credential {
            username: "a".into(),
            password: Secret::new("other"),
        };
        assert_eq!(book.set(label.clone(), credential, Vec::new(), None), Ok(2));
        let after = book.entry(&label).unwrap().fingerprint(&label);
        assert_ne!(before, after);
        assert_eq!(after.len(), 23);
        let read = Book::read(&book.write().unwrap(), true).unwrap();
        assert_eq!(read.entry(&label).unwrap().fingerprint(&label), after);
        assert!(!format!("{read:?}").contains("other"));
        assert!(book.remove(&label) && !book.remove(&label));
    }

    #[test]
    fn a_push_is_taken_once_and_only_upwards() {
        let mut book = Book::default();
        let label = || -> CredentialLabel { "a".parse().unwrap() };
        let entry = |version| Entry {
            credential: Credential {
                username: format!("v{version}"),
                password: Secret::new("pw"),
            },
            selectors: Vec::new(),
            version,
            expires: None,
        };
        assert_eq!(book.take_push(label(), entry(10), "one"), Ok(()));
        assert_eq!(
            book.take_push(label(), entry(10), "one"),
            Ok(()),
            "asked again"
        );
        let replayed = Err(PushFault::Replayed(10));
        assert_eq!(book.take_push(label(), entry(10), "two"), replayed);
        assert_eq!(book.take_push(label(), entry(9), "two"), replayed);
        // What somebody sets at the box counts on, and what is taken out stays out.
        let by_hand = entry(0).credential;
        assert_eq!(book.set(label(), by_hand, Vec::new(), None), Ok(11));
        let replayed = Err(PushFault::Replayed(11));
        assert_eq!(book.take_push(label(), entry(11), "two"), replayed);
        assert!(book.remove(&label()));
        let book = Book::read(&book.write().unwrap(), true).unwrap();
        let mut book = Book::read(&book.write().unwrap(), true).unwrap();
        let replayed = Err(PushFault::Replayed(10));
        assert_eq!(book.take_push(label(), entry(10), "two"), replayed);
        assert_eq!(book.take_push(label(), entry(12), "two"), Ok(()));
        assert_eq!(book.entry(&label()).unwrap().version, 12);
    }

    #[test]
    fn a_vault_of_the_first_version_opens() {
        let text = br#"{"a":{"username":"u","password":"p","selectors":["any"],"version":3,"expires_ms":null}}"#;
        let book = Book::read(text, false).unwrap();
        assert_eq!(book.entry(&"a".parse().unwrap()).unwrap().version, 3);
        assert!(Book::read(text, true).is_err());
    }
}
