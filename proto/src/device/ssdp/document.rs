//! The vendor's XML document, read within bounds.
//!
//! No document type, no entities but the five of XML and character references, at most 32 levels and
//! 200 elements. A lone `&` stands for itself, as in a name like `A&B` that a device did not escape.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The root element's start, as pytvt looks for it.
const ROOT_START: &str = "<multicastSearchResult";
const ROOT: &str = "multicastSearchResult";
/// Nesting of a document.
const DEPTH: usize = 32;
/// Elements of a document.
const ELEMENTS: usize = 200;

/// The texts of a document by section and element, as `tcpIp` and `ipAddr`.
pub(super) struct Document(BTreeMap<(String, String), String>);

impl Document {
    /// Reads a document that may have an HTTP header or an XML declaration before it.
    ///
    /// `None` for anything that is not the vendor's document, or is malformed.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (before, _) = text.split_once(ROOT_START)?;
        if before.contains("<!DOCTYPE") {
            return None;
        }
        let document = text.get(before.len()..)?.trim_end_matches(is_padding);
        if !document.chars().all(is_xml_char) {
            return None;
        }
        Walk::default().over(document)
    }

    /// The text of the first element of this name in a section; empty where there is none.
    pub(super) fn text(&self, section: &str, element: &str) -> &str {
        self.0
            .get(&(section.to_owned(), element.to_owned()))
            .map_or("", |text| text.trim())
    }

    /// The first text that is not empty.
    pub(super) fn first(&self, places: &[(&str, &str)]) -> &str {
        places
            .iter()
            .map(|(section, element)| self.text(section, element))
            .find(|text| !text.is_empty())
            .unwrap_or("")
    }
}

#[derive(Default)]
struct Walk {
    texts: BTreeMap<(String, String), String>,
    open: Vec<String>,
    elements: usize,
    /// The element whose text is being gathered: text after a child element does not count.
    gathering: Option<(String, String)>,
    closed: bool,
}

impl Walk {
    fn over(mut self, document: &str) -> Option<Document> {
        let mut reader = Reader::from_str(document);
        let config = reader.config_mut();
        config.allow_dangling_amp = true;
        config.check_comments = true;
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => self.start(&start)?,
                Event::End(_) => self.end(),
                Event::Empty(start) => {
                    self.start(&start)?;
                    self.end();
                }
                Event::Text(text) => self.text(&text.xml10_content())?,
                Event::CData(text) if !self.open.is_empty() => self.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => self.text(&resolve(&reference)?)?,
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => break,
                Event::CData(_) | Event::Decl(_) | Event::DocType(_) => return None,
            }
        }
        (self.closed && self.open.is_empty()).then_some(Document(self.texts))
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Option<()> {
        let name: &str = start.name().into_inner();
        let is_root = self.open.is_empty();
        if self.closed || (is_root && name != ROOT) || self.open.len() >= DEPTH {
            return None;
        }
        self.elements += 1;
        if self.elements > ELEMENTS || start.attributes().any(|attribute| attribute.is_err()) {
            return None;
        }
        self.gathering = match self.open.as_slice() {
            [_, section] => {
                let key = (section.clone(), name.to_owned());
                (!self.texts.contains_key(&key)).then_some(key)
            }
            _ => None,
        };
        if let Some(key) = &self.gathering {
            self.texts.insert(key.clone(), String::new());
        }
        self.open.push(name.to_owned());
        Some(())
    }

    fn end(&mut self) {
        self.gathering = None;
        self.open.pop();
        self.closed = self.open.is_empty();
    }

    fn text(&mut self, text: &str) -> Option<()> {
        if self.open.is_empty() && !text.trim().is_empty() {
            return None;
        }
        if let Some(gathered) = self
            .gathering
            .as_ref()
            .and_then(|key| self.texts.get_mut(key))
        {
            gathered.push_str(text);
        }
        Some(())
    }
}

/// A character reference or one of the five entities; anything else makes the document malformed.
fn resolve(reference: &BytesRef<'_>) -> Option<String> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return is_xml_char(character).then(|| character.to_string());
    }
    let text = match &*reference.xml10_content() {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    };
    Some(text.to_owned())
}

fn is_padding(character: char) -> bool {
    character == '\0' || character.is_whitespace()
}

/// The characters that XML 1.0 allows.
const fn is_xml_char(character: char) -> bool {
    matches!(
        character,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..
    )
}
