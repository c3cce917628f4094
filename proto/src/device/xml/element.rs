//! An element with what it holds.

/// An element of a document: its local name, attributes, own text and children.
#[derive(Clone, Debug, Default, Eq)]
pub struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
    /// Written as CDATA, as the recorders' pages write names and proofs.
    pub(super) cdata: bool,
}

/// Two elements are equal when they mean the same: how text was written does not count.
impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.attributes == other.attributes
            && self.text() == other.text()
            && self.children == other.children
    }
}

impl Element {
    /// An element without content.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// An element with a text.
    #[must_use]
    pub fn leaf(name: &str, text: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            text: text.into(),
            ..Self::default()
        }
    }

    /// An element whose text is written as CDATA where that is possible.
    #[must_use]
    pub fn cdata(name: &str, text: impl Into<String>) -> Self {
        Self {
            cdata: true,
            ..Self::leaf(name, text)
        }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: &str, value: impl Into<String>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a child.
    #[must_use]
    pub fn with(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// Adds children.
    #[must_use]
    pub fn with_all(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// Puts a child in the place of the first one of its name, or after the others.
    pub fn set(&mut self, child: Self) {
        match self.children.iter_mut().find(|old| old.name == child.name) {
            Some(old) => *old = child,
            None => self.children.push(child),
        }
    }

    /// Sets the text at the end of a path of children; what is missing on the way is added.
    pub fn set_text(&mut self, path: &[&str], text: &str) {
        let Some((first, rest)) = path.split_first() else {
            self.text = text.to_owned();
            self.children.clear();
            return;
        };
        if self.child(first).is_none() {
            self.children.push(Self::new(first));
        }
        if let Some(child) = self.children.iter_mut().find(|child| child.name == *first) {
            child.set_text(rest, text);
        }
    }

    /// Sets an attribute.
    pub fn set_attribute(&mut self, name: &str, value: &str) {
        match self.attributes.iter_mut().find(|(found, _)| found == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.attributes.push((name.to_owned(), value.to_owned())),
        }
    }

    /// The local name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own text without the white space around it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// The same element without attributes, also in its children: how version 1 devices want values.
    #[must_use]
    pub fn without_attributes(&self) -> Self {
        Self {
            name: self.name.clone(),
            attributes: Vec::new(),
            text: self.text.clone(),
            children: self.children.iter().map(Self::without_attributes).collect(),
            cdata: self.cdata,
        }
    }

    /// All children.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    /// The first child of a name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element at the end of a path of children.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        let mut found = self;
        for name in path {
            found = found.child(name)?;
        }
        Some(found)
    }

    /// The text at the end of a path. `Some("")` is an element without text, `None` no element.
    #[must_use]
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(Self::text)
    }

    /// The number at the end of a path; `None` where it is missing or no number.
    #[must_use]
    pub fn number_at<T: std::str::FromStr>(&self, path: &[&str]) -> Option<T> {
        self.text_at(path)?.parse().ok()
    }

    /// `true` or `false` at the end of a path, in any letter case.
    #[must_use]
    pub fn flag_at(&self, path: &[&str]) -> Option<bool> {
        let text = self.text_at(path)?;
        if text.eq_ignore_ascii_case("true") {
            Some(true)
        } else {
            text.eq_ignore_ascii_case("false").then_some(false)
        }
    }

    /// This element and everything below it, in document order.
    pub fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let next = open.pop()?;
            open.extend(next.children.iter().rev());
            Some(next)
        })
    }
}
