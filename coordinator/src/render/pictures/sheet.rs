//! A contact sheet as a picture: small pictures in rows, with a caption beneath each.

use super::font;
use super::manifest::{Manifest, PictureRow};

/// Pixels of a small picture at most, across.
pub const CELL_WIDTH: usize = 240;
/// And down.
pub const CELL_HEIGHT: usize = 150;
/// Channels on one sheet; a site with more has several.
pub const PER_SHEET: usize = 96;

/// Small pictures in a row.
const ACROSS: usize = 6;
/// Pixels between them, and around all.
const GAP: usize = 8;
/// Pixels beneath a picture for two lines of caption, and above all for the title.
const CAPTION: usize = 26;
const TITLE: usize = 30;

const PAPER: [u8; 3] = [255, 255, 255];
const FRAME: [u8; 3] = [225, 225, 225];
const INK: [u8; 3] = [20, 20, 20];
const DOUBT: [u8; 3] = [190, 80, 0];

/// A picture, three bytes a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// Columns, at most [`CELL_WIDTH`].
    pub width: usize,
    /// Rows, at most [`CELL_HEIGHT`].
    pub height: usize,
    /// Its rows, without gaps.
    pub rgb: Vec<u8>,
}

/// One sheet: its site, the places of its channels in the list, and which of the site's it is, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// The site.
    pub site: String,
    /// Which of the site's sheets.
    pub number: usize,
    places: Vec<usize>,
}

/// The sheets that a list comes to, site by site.
#[must_use]
pub fn sheets(manifest: &Manifest) -> Vec<Sheet> {
    let mut by_site: std::collections::BTreeMap<&str, Vec<usize>> = Default::default();
    for (place, row) in manifest.pictures.iter().enumerate() {
        by_site.entry(row.site.as_str()).or_default().push(place);
    }
    by_site
        .into_iter()
        .flat_map(|(site, places)| {
            let parts: Vec<Vec<usize>> = places.chunks(PER_SHEET).map(<[_]>::to_vec).collect();
            (1..).zip(parts).map(move |(number, places)| Sheet {
                site: site.to_owned(),
                number,
                places,
            })
        })
        .collect()
}

impl Sheet {
    /// Paints the sheet. `small` gives the small picture of a place in the list, one after the other.
    #[must_use]
    pub fn paint(&self, manifest: &Manifest, small: impl Fn(usize) -> Option<Small>) -> Small {
        let across = self.places.len().clamp(1, ACROSS);
        let down = self.places.len().div_ceil(across).max(1);
        let width = GAP + across * (CELL_WIDTH + GAP);
        let height = TITLE + down * (CELL_HEIGHT + CAPTION + GAP) + GAP;
        let mut canvas = Canvas {
            width,
            rgb: PAPER.repeat(width * height),
        };
        let title = if self.site.is_empty() {
            "Pictures"
        } else {
            &self.site
        };
        canvas.write(
            (GAP, GAP),
            2,
            &format!("{title}  {}", manifest.finished),
            INK,
        );
        for (number, place) in self.places.iter().enumerate() {
            let Some(row) = manifest.pictures.get(*place) else {
                continue;
            };
            let left = GAP + number % across * (CELL_WIDTH + GAP);
            let top = TITLE + GAP + number / across * (CELL_HEIGHT + CAPTION + GAP);
            canvas.fill((left, top), (CELL_WIDTH, CELL_HEIGHT), FRAME);
            if let Some(small) = small(*place) {
                let (width, height) = (small.width.min(CELL_WIDTH), small.height.min(CELL_HEIGHT));
                let at = (
                    left + (CELL_WIDTH - width) / 2,
                    top + (CELL_HEIGHT - height) / 2,
                );
                canvas.paste(at, &small);
            }
            canvas.caption((left, top + CELL_HEIGHT + 4), row);
        }
        Small {
            width,
            height,
            rgb: canvas.rgb,
        }
    }
}

struct Canvas {
    width: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    fn dot(&mut self, column: usize, row: usize, colour: [u8; 3]) {
        if column >= self.width {
            return;
        }
        let start = (row * self.width + column) * 3;
        if let Some(pixel) = self.rgb.get_mut(start..start + 3) {
            pixel.copy_from_slice(&colour);
        }
    }

    fn fill(&mut self, at: (usize, usize), size: (usize, usize), colour: [u8; 3]) {
        for row in 0..size.1 {
            for column in 0..size.0 {
                self.dot(at.0 + column, at.1 + row, colour);
            }
        }
    }

    fn paste(&mut self, at: (usize, usize), small: &Small) {
        for (row, line) in small.rgb.chunks_exact(small.width.max(1) * 3).enumerate() {
            for (column, pixel) in line.chunks_exact(3).enumerate() {
                if let [red, green, blue] = *pixel {
                    self.dot(at.0 + column, at.1 + row, [red, green, blue]);
                }
            }
        }
    }

    fn caption(&mut self, at: (usize, usize), row: &PictureRow) {
        let channel = row.channel.map(|channel| format!(" CH{channel}"));
        let first = format!("{}{} {}", row.device, channel.unwrap_or_default(), row.name);
        self.write(at, 1, &first, INK);
        let (second, colour) = if row.state != "taken" {
            let why = if row.error_code.is_empty() {
                &row.state
            } else {
                &row.error_code
            };
            (why.clone(), DOUBT)
        } else if row.flags.is_empty() {
            (row.time.clone(), INK)
        } else {
            (row.flags.join(" "), DOUBT)
        };
        self.write((at.0, at.1 + 11), 1, &second, colour);
    }

    /// Writes a line; what does not fit into a cell, or onto the sheet for larger letters, is left out.
    /// There are letters for ASCII: other scripts are written as they sound, the page has them as they are.
    fn write(&mut self, at: (usize, usize), scale: usize, text: &str, colour: [u8; 3]) {
        let step = (font::WIDTH + 1) * scale;
        let room = if scale == 1 { CELL_WIDTH } else { self.width };
        let text: String = text.chars().take(room / step).collect();
        let text = deunicode::deunicode_with_tofu(&text, "\u{fffd}");
        for (number, letter) in text.chars().take(room / step).enumerate() {
            for (row, bits) in font::rows(letter).into_iter().enumerate() {
                for column in 0..font::WIDTH {
                    if bits >> (font::WIDTH - 1 - column) & 1 == 1 {
                        let dot = (at.0 + number * step + column * scale, at.1 + row * scale);
                        self.fill(dot, (scale, scale), colour);
                    }
                }
            }
        }
        debug_assert!(font::HEIGHT * scale <= TITLE, "a line fits");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(channels: usize) -> Manifest {
        let row = |channel: usize| PictureRow {
            site: if channel.is_multiple_of(2) {
                "Depot"
            } else {
                "Annex"
            }
            .into(),
            device: "10.0.0.9".into(),
            channel: u32::try_from(channel).ok(),
            name: "Gate ü with a very long name that does not fit into its cell at all".into(),
            state: "taken".into(),
            ..PictureRow::default()
        };
        Manifest {
            pictures: (1..=channels).map(row).collect(),
            ..Manifest::default()
        }
    }

    #[test]
    fn every_channel_is_on_one_sheet_of_its_site() {
        let manifest = manifest(2 * PER_SHEET + 3);
        let sheets = sheets(&manifest);
        let named: Vec<_> = sheets
            .iter()
            .map(|sheet| (sheet.site.as_str(), sheet.number, sheet.places.len()))
            .collect();
        assert_eq!(
            named,
            [
                ("Annex", 1, PER_SHEET),
                ("Annex", 2, 2),
                ("Depot", 1, PER_SHEET),
                ("Depot", 2, 1)
            ]
        );
    }

    #[test]
    fn pictures_and_captions_are_painted_where_they_belong() {
        let manifest = manifest(4);
        let sheet = &sheets(&manifest)[0];
        let red = Small {
            width: 100,
            height: 50,
            rgb: [200, 0, 0].repeat(5000),
        };
        let painted = sheet.paint(&manifest, |place| (place == 2).then(|| red.clone()));
        assert_eq!(painted.rgb.len(), painted.width * painted.height * 3);
        let count = |colour: [u8; 3]| {
            let pixels = painted.rgb.chunks_exact(3);
            pixels.filter(|pixel| *pixel == colour).count()
        };
        assert_eq!(count([200, 0, 0]), 5000);
        assert_eq!(count(FRAME), 2 * CELL_WIDTH * CELL_HEIGHT - 5000);
        assert!(count(INK) > 200);
    }

    #[test]
    fn letters_differ() {
        let letters: Vec<char> = ('A'..='Z')
            .chain('0'..='9')
            .chain(".,:-_/&() =+#@!?'\"%*<>;[]|\\".chars())
            .collect();
        let shapes: std::collections::BTreeSet<_> =
            letters.iter().map(|letter| font::rows(*letter)).collect();
        assert_eq!(shapes.len(), letters.len());
        assert_eq!(font::rows('a'), font::rows('A'));
    }

    #[test]
    fn other_scripts_can_be_read() {
        let paint = |name: &str| {
            let mut manifest = manifest(1);
            manifest.pictures[0].name = name.to_owned();
            sheets(&manifest)[0].paint(&manifest, |_| None).rgb
        };
        assert_eq!(paint("Kühlhaus"), paint("Kuhlhaus"));
        assert_eq!(paint("Straße"), paint("Strasse"));
        assert_eq!(paint("Приёмка"), paint("Priiomka"));
        assert_ne!(paint("倉庫"), paint("正門"));
    }
}
