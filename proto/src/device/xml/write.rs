//! Writing a document.

use zeroize::Zeroizing;

use super::element::Element;

/// What stands before every root.
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

impl Element {
    /// The element as a document. The text may hold a password, so it is overwritten on drop.
    #[must_use]
    pub fn to_document(&self) -> Zeroizing<String> {
        // Sized first: growing would leave copies of a password behind.
        let mut text = Zeroizing::new(String::with_capacity(self.room() + DECLARATION.len()));
        text.push_str(DECLARATION);
        self.write(&mut text);
        text
    }

    /// More than the element takes when written.
    fn room(&self) -> usize {
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(name, value)| name.len() + value.len() * 6 + 4)
            .sum();
        let children: usize = self.children.iter().map(Self::room).sum();
        self.name.len() * 2 + self.text.len() * 6 + attributes + children + 24
    }

    fn write(&self, text: &mut String) {
        text.push('<');
        text.push_str(&self.name);
        for (name, value) in &self.attributes {
            text.push(' ');
            text.push_str(name);
            text.push_str("=\"");
            escape(value, text);
            text.push('"');
        }
        if self.text.is_empty() && self.children.is_empty() {
            text.push_str("/>");
            return;
        }
        text.push('>');
        if self.cdata && !self.text.contains("]]>") {
            text.push_str("<![CDATA[");
            text.push_str(&self.text);
            text.push_str("]]>");
        } else {
            escape(&self.text, text);
        }
        for child in &self.children {
            child.write(text);
        }
        text.push_str("</");
        text.push_str(&self.name);
        text.push('>');
    }
}

fn escape(value: &str, text: &mut String) {
    for letter in value.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_or_wrapped() {
        let element = Element::new("a")
            .with_attribute("id", "{\"1\"}")
            .with(Element::leaf("p", "a<b&c"))
            .with(Element::cdata("u", "x<y"))
            .with(Element::cdata("v", "]]>"))
            .with(Element::new("e"));
        assert_eq!(
            element.to_document().as_str(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a id=\"{&quot;1&quot;}\"><p>a&lt;b&amp;c</p>\
             <u><![CDATA[x<y]]></u><v>]]&gt;</v><e/></a>"
        );
    }
}
