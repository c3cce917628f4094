//! Writing contact sheets.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tvt_agent::snapshot::{Thumbnail, thumbnail};
use tvt_coordinator::render::pictures::{
    CELL_HEIGHT, CELL_WIDTH, Manifest, Names, PictureRow, Sheet, Small, page, sheets,
};
use tvtfleet_proto::error::ErrorCode;

use crate::error::CliError;
use crate::files;

/// Quality of sheets.
const QUALITY: u8 = 85;

/// What a sheet is, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Page,
    Picture,
}

/// Finds out whether the name of a sheet says what it is to be, before anything is asked.
///
/// # Errors
///
/// `usage.invalid`.
pub(crate) fn check_name(path: &Path) -> Result<(), CliError> {
    kind(path).map(|_| ())
}

/// Writes the sheets; those of several sites as pictures are several files.
///
/// # Errors
///
/// `storage.full`, `output.unwritable`.
pub(crate) async fn write<'a>(
    path: &Path,
    folder: &Path,
    manifest: &Manifest,
    small_of: impl Fn(usize) -> Option<&'a [u8]>,
) -> Result<(), CliError> {
    match kind(path)? {
        Kind::Page => files::write(path, |out| {
            let small = |place| small_of(place).map(|bytes| STANDARD.encode(bytes));
            page(manifest, small, |row| link(path, folder, row), out)
        }),
        Kind::Picture => {
            let sheets = sheets(manifest);
            let mut names = Names::default();
            for sheet in &sheets {
                let path = name(path, sheet, sheets.len(), &mut names);
                let small = |place| {
                    let small = thumbnail(small_of(place)?, CELL_WIDTH, CELL_HEIGHT)?;
                    Some(Small {
                        width: small.width,
                        height: small.height,
                        rgb: small.rgb,
                    })
                };
                let painted = sheet.paint(manifest, small);
                let painted = Thumbnail {
                    width: painted.width,
                    height: painted.height,
                    rgb: painted.rgb,
                };
                let bytes = painted.to_jpeg(QUALITY).ok_or_else(|| {
                    CliError::new(ErrorCode::Internal, "a sheet could not be encoded")
                })?;
                files::write(&path, |out| out.write_all(&bytes))?;
                // A sheet takes a moment; others may want theirs.
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    }
}

fn kind(path: &Path) -> Result<Kind, CliError> {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    match ending.to_str() {
        Some("html" | "htm") => Ok(Kind::Page),
        Some("jpg" | "jpeg") => Ok(Kind::Picture),
        _ => {
            let message = format!("the name {} does not say what to write", path.display());
            Err(CliError::usage(message).hint("end it in .html or .jpg"))
        }
    }
}

/// The file of one sheet: as named where it is the only one, else with the site and its number.
fn name(path: &Path, sheet: &Sheet, count: usize, names: &mut Names) -> PathBuf {
    if count == 1 {
        return path.to_owned();
    }
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let number = if sheet.number > 1 {
        sheet.number.to_string()
    } else {
        String::new()
    };
    let parts = [text(path.file_stem()), sheet.site.clone(), number];
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    path.with_file_name(names.next(&parts, &text(path.extension())))
}

/// The address of a picture, seen from the sheet; none where the two have nothing in common.
fn link(sheet: &Path, folder: &Path, row: &PictureRow) -> Option<String> {
    if row.file.is_empty() {
        return None;
    }
    let beside = sheet.parent().unwrap_or_else(|| Path::new(""));
    let path = folder.join(&row.file);
    let relative = path.strip_prefix(beside).ok()?.to_str()?;
    let mut text = String::new();
    for byte in relative.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_and_encoded() {
        let row = PictureRow {
            file: "Kühl \"1\".jpg".into(),
            ..PictureRow::default()
        };
        let link = |sheet: &str| link(Path::new(sheet), Path::new("/a/pictures"), &row);
        let file = "K%C3%BChl%20%221%22.jpg";
        assert_eq!(link("/a/sheet.html"), Some(format!("pictures/{file}")));
        assert_eq!(link("/a/pictures/sheet.html"), Some(file.to_owned()));
        assert_eq!(link("/b/sheet.html"), None);
    }

    #[test]
    fn sheets_are_told_apart_by_their_names() {
        assert!(kind(Path::new("a.png")).is_err() && kind(Path::new("a")).is_err());
        assert_eq!(kind(Path::new("a.HTML")).unwrap(), Kind::Page);
        assert_eq!(kind(Path::new("a.jpeg")).unwrap(), Kind::Picture);
    }
}
