//! Our two cell formats in a workbook's style table, which is only ever appended to.

use super::package::Package;
use super::refusal::Refusal;
use super::xml::{Element, Outline, Splices, with_attribute};

/// The style table. Our formats are looked up, and added where they are missing, when first asked
/// for: what an earlier run added is found again, so the table does not grow.
#[derive(Debug)]
pub(super) struct Styles {
    /// The part and its text; `None` where the workbook has no styles, then cells get none.
    part: Option<(String, String)>,
    formats: Option<(usize, usize)>,
}

impl Styles {
    /// Takes the style part in.
    pub(super) fn read(package: &Package<'_>, part: Option<&str>) -> Result<Self, Refusal> {
        let part = match part {
            Some(part) => Some((part.to_owned(), package.text(part)?.to_owned())),
            None => None,
        };
        Ok(Self {
            part,
            formats: None,
        })
    }

    /// The table of a workbook that has none.
    #[cfg(test)]
    pub(super) const fn none() -> Self {
        Self {
            part: None,
            formats: None,
        }
    }

    /// The numbers of our header's and body's format.
    pub(super) fn formats(&mut self) -> Result<Option<(usize, usize)>, Refusal> {
        let Some((part, text)) = &mut self.part else {
            return Ok(None);
        };
        if self.formats.is_none() {
            let outline = Outline::read(part, text)?;
            let prefix = outline.root().map_or("", Element::prefix).to_owned();
            let p = prefix.as_str();
            let font = add(
                part,
                text,
                "fonts",
                &format!(
                    "<{p}font><{p}b/><{p}sz val=\"11\"/><{p}color rgb=\"FFFFFFFF\"/></{p}font>"
                ),
            )?;
            let fill = add(
                part,
                text,
                "fills",
                &format!(
                    "<{p}fill><{p}patternFill patternType=\"solid\"><{p}fgColor rgb=\"FF4472C4\"/>\
                     <{p}bgColor indexed=\"64\"/></{p}patternFill></{p}fill>"
                ),
            )?;
            let side = |name: &str| {
                format!("<{p}{name} style=\"thin\"><{p}color auto=\"1\"/></{p}{name}>")
            };
            let sides: String = ["left", "right", "top", "bottom"].map(side).concat();
            let border = add(
                part,
                text,
                "borders",
                &format!("<{p}border>{sides}<{p}diagonal/></{p}border>"),
            )?;
            let header = add(
                part,
                text,
                "cellXfs",
                &format!(
                    "<{p}xf numFmtId=\"0\" fontId=\"{font}\" fillId=\"{fill}\" borderId=\"{border}\" \
                     xfId=\"0\" applyFont=\"1\" applyFill=\"1\" applyBorder=\"1\" applyAlignment=\"1\">\
                     <{p}alignment horizontal=\"center\" vertical=\"center\"/></{p}xf>"
                ),
            )?;
            let body = add(
                part,
                text,
                "cellXfs",
                &format!(
                    "<{p}xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"{border}\" xfId=\"0\" \
                     applyBorder=\"1\"/>"
                ),
            )?;
            self.formats = Some((header, body));
        }
        Ok(self.formats)
    }

    /// Writes the table back.
    pub(super) fn write(self, package: &mut Package<'_>) {
        if let Some((part, text)) = self.part {
            package.set(&part, text);
        }
    }
}

/// The position of an entry in a section; appended where no equal one is there.
fn add(part: &str, text: &mut String, section: &str, entry: &str) -> Result<usize, Refusal> {
    let outline = Outline::read(part, text)?;
    let missing = || Refusal::damaged(format!("{part}: no {section}"));
    let section = outline.section(section).ok_or_else(missing)?;
    let entries: Vec<&Element> = outline.children(section).collect();
    let equal = |element: &&Element| text.get(element.whole.clone()) == Some(entry);
    if let Some(found) = entries.iter().position(equal) {
        return Ok(found);
    }
    let count = entries.len();
    let mut splices = Splices::default();
    let open = text.get(section.open.clone()).unwrap_or_default();
    if section.is_empty_tag() {
        let tag = with_attribute(open, "count", "1");
        let tag = tag.strip_suffix("/>").unwrap_or(&tag);
        splices.put(
            section.whole.clone(),
            format!("{tag}>{entry}</{}>", section.name),
        );
    } else {
        splices.put(
            section.open.clone(),
            with_attribute(open, "count", &(count + 1).to_string()),
        );
        splices.put(section.inner.end..section.inner.end, entry);
    }
    let edited = splices.apply(text);
    *text = edited;
    Ok(count)
}
