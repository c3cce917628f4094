//! Reading a document.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::element::Element;

/// What a document may use up.
pub mod limits {
    /// Bytes of a document.
    pub const BYTES: usize = 2 * 1024 * 1024;
    /// Nesting.
    pub const DEPTH: usize = 32;
    /// Elements and attributes together.
    pub const NODES: usize = 100_000;
}

/// A document as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The root element.
    pub root: Element,
    /// Whether it was not well formed: a lone `&`, control characters or bytes that are no UTF-8.
    pub repaired: bool,
}

/// Why bytes are no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// More bytes, levels or nodes than allowed.
    #[error("the document is larger than allowed")]
    TooLarge,
    /// A document type, which could define entities.
    #[error("the document has a document type")]
    DocumentType,
    /// The text is cut short or no XML.
    #[error("the text is no complete XML")]
    Malformed,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// See [`XmlError`]. A raw `&`, control characters and broken UTF-8 are mended instead.
    pub fn read(bytes: &[u8]) -> Result<Self, XmlError> {
        if bytes.len() > limits::BYTES {
            return Err(XmlError::TooLarge);
        }
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_start_matches('\u{feff}').trim();
        let clean: String = text.chars().filter(|letter| is_xml_char(*letter)).collect();
        let mended = clean.len() != text.len() || std::str::from_utf8(bytes).is_err();
        let mut walk = Walk::default();
        walk.over(&clean)?;
        let root = walk.root.ok_or(XmlError::Malformed)?;
        Ok(Self {
            root,
            repaired: mended || walk.repaired,
        })
    }
}

#[derive(Default)]
struct Walk {
    open: Vec<Element>,
    root: Option<Element>,
    nodes: usize,
    repaired: bool,
}

impl Walk {
    fn over(&mut self, text: &str) -> Result<(), XmlError> {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.allow_dangling_amp = true;
        loop {
            match reader.read_event().map_err(|_| XmlError::Malformed)? {
                Event::Start(start) => self.start(&start)?,
                Event::End(_) => self.end()?,
                Event::Empty(start) => {
                    self.start(&start)?;
                    self.end()?;
                }
                Event::Text(text) => self.text(&text.xml10_content())?,
                Event::CData(text) => self.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => {
                    let text = self.resolve(&reference)?;
                    self.text(&text)?;
                }
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Eof if self.open.is_empty() => return Ok(()),
                Event::Eof => return Err(XmlError::Malformed),
            }
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        if self.root.is_some() {
            return Err(XmlError::Malformed);
        }
        self.node()?;
        if self.open.len() >= limits::DEPTH {
            return Err(XmlError::TooLarge);
        }
        let mut element = Element::new(local(start.name().into_inner()));
        for attribute in start.attributes() {
            self.node()?;
            let attribute = attribute.map_err(|_| XmlError::Malformed)?;
            let name = attribute.key.into_inner();
            if name == "xmlns" || name.starts_with("xmlns:") {
                continue;
            }
            let raw: &str = &attribute.value;
            let value = quick_xml::escape::unescape(raw).map_or_else(
                |_| {
                    self.repaired = true;
                    raw.to_owned()
                },
                std::borrow::Cow::into_owned,
            );
            element.attributes.push((local(name).to_owned(), value));
        }
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlError> {
        let element = self.open.pop().ok_or(XmlError::Malformed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            // White space may stand around the root, nothing else.
            None if text.trim().is_empty() => {}
            None => return Err(XmlError::Malformed),
        }
        Ok(())
    }

    fn resolve(&mut self, reference: &BytesRef<'_>) -> Result<String, XmlError> {
        let name: &str = reference;
        if let Some(letter) = reference
            .resolve_char_ref()
            .map_err(|_| XmlError::Malformed)?
        {
            return Ok(letter.to_string());
        }
        Ok(match name {
            "amp" => "&".to_owned(),
            "lt" => "<".to_owned(),
            "gt" => ">".to_owned(),
            "quot" => "\"".to_owned(),
            "apos" => "'".to_owned(),
            // Nobody declared it: it is text that was not escaped.
            other => {
                self.repaired = true;
                format!("&{other};")
            }
        })
    }

    const fn node(&mut self) -> Result<(), XmlError> {
        self.nodes += 1;
        if self.nodes > limits::NODES {
            return Err(XmlError::TooLarge);
        }
        Ok(())
    }
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

const fn is_xml_char(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Document {
        Document::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn namespaces_cdata_and_references_are_read() {
        let document = read(
            "\u{feff}<?xml version=\"1.0\"?><c:config xmlns:c=\"http://www.ipc.com/ver10\" version='2.0.0'>\
             <name type=\"string\"> <![CDATA[Hall <1>]]>\n</name><n>A &amp; B &#228;</n><e/></c:config>",
        );
        assert!(!document.repaired);
        assert_eq!(document.root.name(), "config");
        assert_eq!(document.root.attribute("version"), Some("2.0.0"));
        assert_eq!(document.root.text_at(&["name"]), Some("Hall <1>"));
        assert_eq!(document.root.text_at(&["n"]), Some("A & B ä"));
        assert_eq!(document.root.text_at(&["e"]), Some(""));
        assert_eq!(document.root.text_at(&["absent"]), None);
    }

    #[test]
    fn a_raw_ampersand_is_mended() {
        let document = read("<a><name>Fish & chips</name><name>R&D; x</name>\u{1}</a>");
        assert!(document.repaired);
        let names: Vec<&str> = document.root.all("name").map(Element::text).collect();
        assert_eq!(names, ["Fish & chips", "R&D; x"]);
    }

    #[test]
    fn what_could_hurt_is_refused() {
        let refused = |text: &str| Document::read(text.as_bytes()).unwrap_err();
        assert_eq!(
            refused("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
            XmlError::DocumentType
        );
        assert_eq!(refused(&"<a>".repeat(100)), XmlError::TooLarge);
        assert_eq!(
            refused(&format!("<a>{}</a>", "<b/>".repeat(limits::NODES))),
            XmlError::TooLarge
        );
        assert_eq!(refused(&"x".repeat(limits::BYTES + 1)), XmlError::TooLarge);
        for text in [
            "",
            "not xml",
            "<a><b></a>",
            "<a>",
            "<a/><b/>",
            "<a/>x",
            "<a b=1/>",
        ] {
            assert_eq!(refused(text), XmlError::Malformed, "{text}");
        }
    }

    fn element() -> impl Strategy<Value = Element> {
        let name = "[a-zA-Z][a-zA-Z0-9]{0,6}";
        let leaf = (
            name,
            "[ -~äß€]{0,12}",
            any::<bool>(),
            proptest::option::of("[ -~ä]{0,8}"),
        )
            .prop_map(|(name, text, cdata, attribute)| {
                let leaf = if cdata {
                    Element::cdata(&name, text)
                } else {
                    Element::leaf(&name, text)
                };
                match attribute {
                    Some(value) => leaf.with_attribute("id", value),
                    None => leaf,
                }
            });
        leaf.prop_recursive(4, 30, 5, move |inner| {
            (name, proptest::collection::vec(inner, 0..5))
                .prop_map(|(name, children)| Element::new(&name).with_all(children))
        })
    }

    proptest! {
        #[test]
        fn reading_reverses_writing(element in element()) {
            let document = Document::read(element.to_document().as_bytes()).unwrap();
            prop_assert!(!document.repaired);
            prop_assert_eq!(document.root, element);
        }

        #[test]
        fn any_prefix_is_malformed(element in element(), cut in any::<proptest::sample::Index>()) {
            let text = element.to_document();
            let end = cut.index(text.len());
            prop_assert!(Document::read(&text.as_bytes()[..end]).is_err());
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in "[<>&;!\\[\\]a-c\"= /?-]{0,80}") {
            let _ = Document::read(text.as_bytes());
        }
    }
}
