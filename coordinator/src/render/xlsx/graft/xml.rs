//! An outline of an XML text with positions, and splices into it.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::refusal::Refusal;

/// The most elements of an outline.
const ELEMENTS_MAX: usize = 1_000_000;

/// One element.
#[derive(Debug)]
pub(super) struct Element {
    /// The name as written, with its prefix.
    pub(super) name: String,
    /// Attributes as written, with unescaped values.
    pub(super) attributes: Vec<(String, String)>,
    /// The start tag.
    pub(super) open: Range<usize>,
    /// The whole element.
    pub(super) whole: Range<usize>,
    /// Between the tags; empty and at the end for `<a/>`.
    pub(super) inner: Range<usize>,
    parent: Option<usize>,
}

impl Element {
    /// The name without prefix.
    pub(super) fn local(&self) -> &str {
        local(&self.name)
    }

    /// The prefix with its colon; empty where there is none.
    pub(super) fn prefix(&self) -> &str {
        prefix(&self.name)
    }

    /// An attribute by its name as written.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether it is written `<a/>`.
    pub(super) const fn is_empty_tag(&self) -> bool {
        self.open.end == self.whole.end
    }
}

/// All elements of a text, in document order.
#[derive(Debug)]
pub(super) struct Outline {
    elements: Vec<Element>,
}

impl Outline {
    /// Reads a text.
    pub(super) fn read(part: &str, text: &str) -> Result<Self, Refusal> {
        let bad = |detail: String| Refusal::damaged(format!("{part}: {detail}"));
        let mut reader = Reader::from_str(text);
        let mut elements: Vec<Element> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        loop {
            let from = position(&reader);
            let event = reader
                .read_event()
                .map_err(|error| bad(error.to_string()))?;
            let to = position(&reader);
            match event {
                Event::Start(tag) => {
                    open.push(elements.len());
                    let parent = open
                        .len()
                        .checked_sub(2)
                        .and_then(|at| open.get(at).copied());
                    elements.push(element(&tag, from..to, parent).map_err(bad)?);
                }
                Event::Empty(tag) => {
                    elements.push(element(&tag, from..to, open.last().copied()).map_err(bad)?);
                }
                Event::End(_) => {
                    if let Some(element) = open.pop().and_then(|index| elements.get_mut(index)) {
                        element.whole.end = to;
                        element.inner = element.open.end..from;
                    }
                }
                Event::DocType(_) => return Err(bad("it has a document type".to_owned())),
                Event::Eof => break,
                Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::GeneralRef(_) => {}
            }
            if elements.len() > ELEMENTS_MAX {
                return Err(Refusal::TooLarge);
            }
        }
        if !open.is_empty() || elements.is_empty() {
            return Err(bad("it ends within an element".to_owned()));
        }
        Ok(Self { elements })
    }

    /// The outermost element.
    pub(super) fn root(&self) -> Option<&Element> {
        self.elements.first()
    }

    /// All elements of a local name.
    pub(super) fn all<'o>(&'o self, name: &'o str) -> impl Iterator<Item = &'o Element> {
        self.elements
            .iter()
            .filter(move |element| element.local() == name)
    }

    /// The child of the outermost element of a local name.
    pub(super) fn section(&self, name: &str) -> Option<&Element> {
        self.elements
            .iter()
            .find(|element| element.parent == Some(0) && element.local() == name)
    }

    /// The children of a section, in order.
    pub(super) fn children<'o>(&'o self, parent: &Element) -> impl Iterator<Item = &'o Element> {
        let start = parent.open.start;
        let index = self
            .elements
            .iter()
            .position(|element| element.open.start == start);
        self.elements
            .iter()
            .filter(move |element| index.is_some() && element.parent == index)
    }
}

/// Replacements in a text, by position.
#[derive(Debug, Default)]
pub(super) struct Splices(Vec<(Range<usize>, String)>);

impl Splices {
    /// Puts a text in the place of a range, which may be empty.
    pub(super) fn put(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    /// Adds text as the last thing in an element.
    pub(super) fn append_to(&mut self, element: &Element, text: &str, of: &str) {
        if element.is_empty_tag() {
            let open = of.get(element.open.clone()).unwrap_or_default();
            let open = open.strip_suffix("/>").unwrap_or(open).trim_end();
            self.put(
                element.whole.clone(),
                format!("{open}>{text}</{}>", element.name),
            );
        } else {
            self.put(element.inner.end..element.inner.end, text);
        }
    }

    /// The text with all replacements. Those at one place come in the order they were put.
    pub(super) fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(range, _)| range.start);
        let mut result = String::with_capacity(text.len() + 256);
        let mut done = 0;
        for (range, replacement) in &self.0 {
            debug_assert!(range.start >= done, "splices overlap");
            result.push_str(text.get(done..range.start).unwrap_or_default());
            result.push_str(replacement);
            done = range.end.max(done);
        }
        result.push_str(text.get(done..).unwrap_or_default());
        result
    }
}

/// A start tag with one attribute set to a value, the others as they are.
pub(super) fn with_attribute(tag: &str, name: &str, value: &str) -> String {
    let value = escape(value);
    let mut from = 0;
    while let Some(found) = tag.get(from..).and_then(|rest| rest.find(name)) {
        let start = from + found;
        let after = start + name.len();
        from = after;
        let is_start = tag
            .get(..start)
            .is_some_and(|before| before.ends_with(char::is_whitespace));
        let Some(rest) = tag.get(after..).filter(|_| is_start) else {
            continue;
        };
        let Some(rest) = rest.trim_start().strip_prefix('=') else {
            continue;
        };
        let rest = rest.trim_start();
        let Some(quote) = rest
            .chars()
            .next()
            .filter(|quote| matches!(quote, '"' | '\''))
        else {
            continue;
        };
        let quoted = rest.get(1..).unwrap_or_default();
        let Some(length) = quoted.find(quote) else {
            continue;
        };
        let tail = quoted.get(length + 1..).unwrap_or_default();
        let head = tag.get(..after).unwrap_or_default();
        return format!("{head}=\"{value}\"{tail}");
    }
    let (body, end) = match tag.strip_suffix("/>") {
        Some(body) => (body.trim_end(), "/>"),
        None => (tag.strip_suffix('>').unwrap_or(tag), ">"),
    };
    format!("{body} {name}=\"{value}\"{end}")
}

/// Text for between tags and within quotes.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// A name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// A name's prefix with its colon; empty where there is none.
pub(super) fn prefix(name: &str) -> &str {
    name.len()
        .checked_sub(local(name).len())
        .and_then(|end| name.get(..end))
        .unwrap_or_default()
}

/// Where the reader stands in its text.
pub(super) fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// The attributes of a tag, unescaped.
pub(super) fn attributes(tag: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    tag.attributes()
        .map(|attribute| {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = quick_xml::escape::unescape(&attribute.value)
                .map_err(|error| error.to_string())?
                .into_owned();
            Ok((attribute.key.as_ref().to_owned(), value))
        })
        .collect()
}

fn element(
    tag: &BytesStart<'_>,
    open: Range<usize>,
    parent: Option<usize>,
) -> Result<Element, String> {
    Ok(Element {
        name: tag.name().as_ref().to_owned(),
        attributes: attributes(tag)?,
        whole: open.clone(),
        inner: open.end..open.end,
        open,
        parent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_the_text() {
        let text = r#"<?xml version="1.0"?><x:a b="1 &amp; 2"><x:c/>ä&#233;<d>t</d></x:a>"#;
        let outline = Outline::read("p", text).unwrap();
        let root = outline.root().unwrap();
        assert_eq!(
            (root.local(), root.prefix(), root.attribute("b")),
            ("a", "x:", Some("1 & 2"))
        );
        let at = |range: &Range<usize>| text.get(range.clone()).unwrap();
        assert_eq!(at(&root.inner), "<x:c/>ä&#233;<d>t</d>");
        let parts: Vec<&str> = outline
            .children(root)
            .map(|element| at(&element.whole))
            .collect();
        assert_eq!(parts, ["<x:c/>", "<d>t</d>"]);
        let mut splices = Splices::default();
        splices.append_to(outline.section("c").unwrap(), "new", text);
        splices.append_to(outline.section("d").unwrap(), "!", text);
        assert!(
            splices
                .apply(text)
                .contains("<x:c>new</x:c>ä&#233;<d>t!</d>")
        );
    }

    #[test]
    fn attributes_are_set_in_place() {
        assert_eq!(
            with_attribute("<a ref=\"A1\" c='2'/>", "ref", "B2"),
            "<a ref=\"B2\" c='2'/>"
        );
        assert_eq!(
            with_attribute("<a xref='A1' ref = 'x'>", "ref", "B2"),
            "<a xref='A1' ref=\"B2\">"
        );
        assert_eq!(with_attribute("<a />", "n", "<"), "<a n=\"&lt;\"/>");
    }

    #[test]
    fn broken_texts_are_refused() {
        for text in ["", "<a>", "<a></b>", "<!DOCTYPE a><a/>", "<a b=1/>"] {
            assert!(Outline::read("p", text).is_err(), "{text}");
        }
    }
}
