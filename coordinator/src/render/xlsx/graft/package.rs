//! The zip package: reading parts, and writing it back with some of them changed.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::refusal::Refusal;

/// The first bytes of an OLE file: what an encrypted workbook is, and an old `.xls`.
const OLE: [u8; 8] = [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
/// The most bytes of one part that is read.
const PART_MAX: u64 = 256 * 1024 * 1024;
/// The most parts of a package.
const PARTS_MAX: usize = 20_000;

/// A workbook's package. Changes are kept beside it until [`Self::finish`].
pub(super) struct Package<'b> {
    old: &'b [u8],
    archive: ZipArchive<Cursor<&'b [u8]>>,
    /// The parts by the lower-case form of their names.
    parts: HashMap<String, Part>,
    changes: BTreeMap<String, Option<String>>,
}

/// A part of the file.
struct Part {
    /// Its place in the archive; `None` for a part that comes new.
    index: Option<usize>,
    /// Its name as it stands in the file.
    name: String,
    /// Its text, once somebody asked for it.
    text: OnceCell<String>,
}

impl<'b> Package<'b> {
    /// Opens a package; no part is unpacked yet.
    pub(super) fn open(old: &'b [u8]) -> Result<Self, Refusal> {
        if old.starts_with(&OLE) {
            return Err(Refusal::Encrypted);
        }
        let mut archive = ZipArchive::new(Cursor::new(old)).map_err(damaged)?;
        if archive.len() > PARTS_MAX {
            return Err(Refusal::TooLarge);
        }
        if archive.has_duplicate_names() {
            return Err(Refusal::damaged("two parts have one name"));
        }
        let mut parts = HashMap::new();
        for index in 0..archive.len() {
            let file = archive.by_index_raw(index).map_err(damaged)?;
            let name = file.name().map_err(damaged)?.into_owned();
            if name.starts_with("_xmlsignatures/") {
                return Err(Refusal::Signed);
            }
            if file.encrypted() {
                return Err(Refusal::Encrypted);
            }
            let part = Part {
                index: Some(index),
                name,
                text: OnceCell::new(),
            };
            parts.insert(part.name.to_ascii_lowercase(), part);
        }
        Ok(Self {
            old,
            archive,
            parts,
            changes: BTreeMap::new(),
        })
    }

    /// Whether there is such a part.
    pub(super) fn has(&self, part: &str) -> bool {
        self.parts.contains_key(&part.to_ascii_lowercase())
    }

    /// The text of a part as it was.
    pub(super) fn text(&self, part: &str) -> Result<&str, Refusal> {
        let missing = || Refusal::damaged(format!("{part} is missing"));
        let part = self
            .parts
            .get(&part.to_ascii_lowercase())
            .ok_or_else(missing)?;
        match part.text.get() {
            Some(text) => Ok(text),
            None => {
                let text = self.unpacked(part.index.ok_or_else(missing)?, &part.name)?;
                Ok(part.text.get_or_init(|| text))
            }
        }
    }

    fn unpacked(&self, index: usize, name: &str) -> Result<String, Refusal> {
        // A copy shares the list of parts, and reads from a place of its own.
        let mut archive = self.archive.clone();
        let file = archive.by_index(index).map_err(damaged)?;
        let mut text = String::new();
        let length = file
            .take(PART_MAX)
            .read_to_string(&mut text)
            .map_err(|error| Refusal::damaged(format!("{name}: {error}")))?;
        if u64::try_from(length).is_ok_and(|length| length >= PART_MAX) {
            return Err(Refusal::TooLarge);
        }
        Ok(text
            .strip_prefix('\u{FEFF}')
            .map(str::to_owned)
            .unwrap_or(text))
    }

    /// Gives a part, which may be new, a new text.
    pub(super) fn set(&mut self, part: &str, text: String) {
        let key = part.to_ascii_lowercase();
        self.changes.insert(key.clone(), Some(text));
        self.parts.entry(key).or_insert_with(|| Part {
            index: None,
            name: part.to_owned(),
            text: OnceCell::new(),
        });
    }

    /// Leaves a part out.
    pub(super) fn remove(&mut self, part: &str) {
        self.changes.insert(part.to_ascii_lowercase(), None);
    }

    /// Writes the package: changed parts in their place, new ones at the end, all others as the
    /// compressed bytes they were.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Refusal> {
        let mut changes = std::mem::take(&mut self.changes);
        changes.retain(|part, new| self.text(part).ok() != new.as_deref());
        if changes.is_empty() {
            return Ok(self.old.to_owned());
        }
        let mut writer = ZipWriter::new(Cursor::new(Vec::with_capacity(self.old.len())));
        for index in 0..self.archive.len() {
            let file = self.archive.by_index_raw(index).map_err(damaged)?;
            let name = file.name().map_err(damaged)?.into_owned();
            match changes.remove(&name.to_ascii_lowercase()) {
                None => writer.raw_copy_file(file).map_err(damaged)?,
                Some(None) => {}
                Some(Some(text)) => write_part(&mut writer, &name, &text)?,
            }
        }
        for (key, text) in &changes {
            if let (Some(part), Some(text)) = (self.parts.get(key), text) {
                write_part(&mut writer, &part.name, text)?;
            }
        }
        Ok(writer.finish().map_err(damaged)?.into_inner())
    }
}

/// The part that a relationship's target names, seen from the part that holds it.
pub(super) fn resolve(base: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let joined: Cow<'_, str> = match (target.strip_prefix('/'), base.rsplit_once('/')) {
        (Some(absolute), _) => Cow::Borrowed(absolute),
        (None, Some((folder, _))) => Cow::Owned(format!("{folder}/{target}")),
        (None, None) => Cow::Borrowed(&target),
    };
    let mut steps: Vec<&str> = Vec::new();
    for step in joined.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps.join("/")
}

/// The part that holds a part's relationships.
pub(super) fn relationships_of(part: &str) -> String {
    match part.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/_rels/{name}.rels"),
        None => format!("_rels/{part}.rels"),
    }
}

fn write_part(
    writer: &mut ZipWriter<Cursor<Vec<u8>>>,
    name: &str,
    text: &str,
) -> Result<(), Refusal> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    writer.start_file(name, options).map_err(damaged)?;
    writer
        .write_all(text.as_bytes())
        .map_err(|error| Refusal::damaged(error.to_string()))
}

fn damaged(error: zip::result::ZipError) -> Refusal {
    Refusal::damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_resolved_from_their_part() {
        for (base, target, expected) in [
            (
                "xl/workbook.xml",
                "worksheets/sheet1.xml",
                "xl/worksheets/sheet1.xml",
            ),
            (
                "xl/workbook.xml",
                "/xl/worksheets/sheet1.xml",
                "xl/worksheets/sheet1.xml",
            ),
            (
                "xl/worksheets/sheet1.xml",
                "../tables/table1.xml",
                "xl/tables/table1.xml",
            ),
            ("", "xl/workbook.xml", "xl/workbook.xml"),
            ("a", "..\\..\\b.xml", "b.xml"),
        ] {
            assert_eq!(resolve(base, target), expected);
        }
        assert_eq!(
            relationships_of("xl/workbook.xml"),
            "xl/_rels/workbook.xml.rels"
        );
    }
}
