use proptest::prelude::*;

use super::window::WINDOW;
use super::*;
use crate::diff::tests::any_record;
use crate::diff::{Scan, diff};
use crate::render::json;
use crate::results;
use crate::results::ResultRecord;

/// A reader that gives a few bytes at a time.
struct Trickle<'b>(&'b [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(buffer.len()).min(self.0.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

fn outline(bytes: &[u8], key: &DigestKey) -> Option<Outline> {
    let whole = Outline::read(bytes, key).unwrap();
    let trickled = Outline::read(Trickle(bytes, 7), key).unwrap();
    assert_eq!(whole.is_some(), trickled.is_some());
    if let (Some(whole), Some(trickled)) = (&whole, &trickled) {
        let places = |outline: &Outline| -> Vec<_> {
            let devices = outline.devices.iter();
            devices.map(|d| (d.at, d.length, d.digest)).collect()
        };
        assert_eq!(places(whole), places(trickled));
    }
    whole
}

fn file(bytes: &[u8]) -> impl Reread {
    |buffer: &mut [u8], at: u64| {
        let at = usize::try_from(at).unwrap();
        let mut rest = bytes.get(at..).unwrap_or_default();
        rest.read_exact(buffer)
    }
}

/// The comparison of two files, by outlines and as a whole, as JSON.
fn both_ways(old: &[u8], new: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let names = crate::diff::render::Names::default();
    let key = DigestKey::default();
    let outlines = (outline(old, &key).unwrap(), outline(new, &key).unwrap());
    let comparison = Comparison::of(&outlines.0, &outlines.1);
    let mut kept = Kept::default();
    let found = comparison.diff(file(old), file(new), &mut kept).unwrap();
    let mut lean = Vec::new();
    crate::diff::render::json(&found, &names, &mut lean).unwrap();
    let scan = |bytes| Scan::from_records(results::read(bytes).unwrap());
    let (old, new) = (scan(old), scan(new));
    let mut whole = Vec::new();
    crate::diff::render::json(&diff(&old, &new), &names, &mut whole).unwrap();
    (lean, whole)
}

fn example(name: &str) -> Vec<u8> {
    let root = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/vectors/examples/diff/"
    );
    std::fs::read(format!("{root}{name}")).unwrap()
}

#[test]
fn outlines_find_what_the_whole_files_do() {
    let (old, new) = (example("old.json"), example("new.json"));
    let marked = [b"\xEF\xBB\xBF\n ", new.as_slice(), b" \r\n"].concat();
    for (old, new) in [(&old, &new), (&new, &old), (&old, &old), (&old, &marked)] {
        let (lean, whole) = both_ways(old, new);
        assert_eq!(lean, whole);
    }
    let (lean, whole) = both_ways(b"[]", &new);
    assert_eq!(lean, whole);
}

#[test]
fn a_device_larger_than_the_window_is_read() {
    let device = |name: &str| {
        let camera = format!(r#"{{"channel": 1, "name": "{}"}}"#, "ü".repeat(WINDOW));
        format!(
            r#"[{{"nvr_ip": "a", "success": true, "cameras": [{camera}], "device_name": "{name}"}}]"#
        )
    };
    let (lean, whole) = both_ways(device("x").as_bytes(), device("y").as_bytes());
    assert_eq!(lean, whole);
}

#[test]
fn other_files_are_left_to_the_reader_of_whole_files() {
    let key = DigestKey::default();
    for bytes in [
        &b""[..],
        b"[",
        b"{\"results\": [{\"nvr_ip\": \"a\"}]}",
        b"[{\"nvr_ip\": \"a\"}",
        b"[{\"nvr_ip\": \"a\"},]",
        b"[,{\"nvr_ip\": \"a\"}]",
        b"[{\"nvr_ip\": \"a\"}{\"nvr_ip\": \"b\"}]",
        b"[{\"nvr_ip\": \"a\"}] x",
        b"[{\"nvr_ip\": \"a\"}] \xFF",
        b"[{\"nvr_ip\": \"a\", \"nvr_ip\": \"b\"}]",
        b"[{\"ip\": \"a\"}]",
        b"[{\"nvr_ip\": \"S\xFCd\"}]",
        b"[{\"nvr_ip\": \"a\"}, 7]",
        b"\xFF\xFE[\0]\0",
    ] {
        assert!(outline(bytes, &key).is_none(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_file_that_changed_in_between_is_noticed() {
    let (old, new) = (example("old.json"), example("new.json"));
    let key = DigestKey::default();
    let outlines = (outline(&old, &key).unwrap(), outline(&new, &key).unwrap());
    let comparison = Comparison::of(&outlines.0, &outlines.1);
    let other = vec![b'x'; new.len()];
    for changed in [&new[..new.len() / 3], &other] {
        let mut kept = Kept::default();
        let found = comparison.diff(file(&old), file(changed), &mut kept);
        assert!(matches!(found, Err(ReloadError::Changed)));
    }
}

#[test]
fn channels_that_differ_and_cannot_be_read_are_no_differences() {
    let device =
        |cameras: &str| format!(r#"[{{"nvr_ip": "a", "success": true, "cameras": {cameras}}}]"#);
    let old = device(r#"[{"channel": 1}]"#);
    for cameras in [r#"[{"name": 1, "name": 2}]"#, "7", r#""x""#] {
        let new = device(cameras);
        let key = DigestKey::default();
        let outlines = (
            outline(old.as_bytes(), &key).unwrap(),
            outline(new.as_bytes(), &key).unwrap(),
        );
        let mut kept = Kept::default();
        let comparison = Comparison::of(&outlines.0, &outlines.1);
        let files = (file(old.as_bytes()), file(new.as_bytes()));
        let found = comparison.diff(files.0, files.1, &mut kept);
        let whole = results::read(new.as_bytes());
        assert_eq!(found.is_err(), whole.is_err(), "{cameras}");
    }
}

proptest! {
    #[test]
    fn any_two_files_compare_the_same_either_way(
        old in prop::collection::vec(any_record(), 0..12),
        new in prop::collection::vec(any_record(), 0..12),
    ) {
        let file = |records: &[ResultRecord<'static>]| {
            let mut bytes = Vec::new();
            json::write_results(records, &mut bytes).unwrap();
            bytes
        };
        let (lean, whole) = both_ways(&file(&old), &file(&new));
        prop_assert_eq!(lean, whole);
    }
}
