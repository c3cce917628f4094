//! XML of web interfaces, read and written within bounds.
//!
//! No document type, no entities but the five of XML and character references. Names are local names:
//! the web API declares a namespace, the recorder's pages do not.

mod element;
mod read;
mod write;

pub use element::Element;
pub use read::{Document, XmlError, limits};
