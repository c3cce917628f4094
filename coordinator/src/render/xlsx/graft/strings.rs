//! Texts of cells: the shared ones and those in the cell.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::package::Package;
use super::refusal::Refusal;
use super::xml::{Outline, local};

/// The shared string table. It is never changed: our own texts stand in their cells.
#[derive(Debug, Default)]
pub(super) struct SharedStrings(Vec<String>);

impl SharedStrings {
    /// Reads the table, where the workbook has one.
    pub(super) fn read(package: &Package<'_>, part: Option<&str>) -> Result<Self, Refusal> {
        let Some(part) = part else {
            return Ok(Self::default());
        };
        let text = package.text(part)?;
        let outline = Outline::read(part, text)?;
        let strings = outline
            .all("si")
            .map(|item| plain_text(text.get(item.inner.clone()).unwrap_or_default()))
            .collect();
        Ok(Self(strings))
    }

    /// The text of an index as a cell writes it.
    pub(super) fn get(&self, index: &str) -> &str {
        index
            .trim()
            .parse::<usize>()
            .ok()
            .and_then(|at| self.0.get(at))
            .map_or("", String::as_str)
    }
}

/// The text of a rich text's runs, without phonetic hints.
pub(super) fn plain_text(xml: &str) -> String {
    let mut reader = Reader::from_str(xml);
    let mut text = String::new();
    let (mut in_text, mut in_hint) = (false, 0_u32);
    // A fragment may end anywhere; what was read so far is the text.
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(tag) => match local(tag.name().as_ref()) {
                "t" => in_text = true,
                "rPh" => in_hint += 1,
                _ => {}
            },
            Event::End(tag) => match local(tag.name().as_ref()) {
                "t" => in_text = false,
                "rPh" => in_hint = in_hint.saturating_sub(1),
                _ => {}
            },
            Event::Text(part) if in_text && in_hint == 0 => text.push_str(&part.xml10_content()),
            Event::CData(part) if in_text && in_hint == 0 => text.push_str(&part.xml10_content()),
            Event::GeneralRef(name) if in_text && in_hint == 0 => {
                let escaped = format!("&{};", name.xml10_content());
                if let Ok(unescaped) = quick_xml::escape::unescape(&escaped) {
                    text.push_str(&unescaped);
                }
            }
            Event::Eof => break,
            Event::Empty(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::GeneralRef(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::plain_text;

    #[test]
    fn runs_are_joined_and_hints_left_out() {
        assert_eq!(plain_text("<t>a &amp; b</t>"), "a & b");
        assert_eq!(
            plain_text(
                "<r><rPr><b/></rPr><t>入</t></r><r><t xml:space=\"preserve\"> &#233;</t></r><rPh><t>x</t></rPh>"
            ),
            "入 é"
        );
    }
}
