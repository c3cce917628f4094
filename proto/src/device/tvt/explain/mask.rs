//! Taking out of text what looks like a credential. In doubt, more is taken out than needed.

use serde_json::Value;

/// What stands in the place of a secret, whatever its length.
pub const MASK: &str = "********";

/// Parts of names whose values are not shown.
const SECRET_WORDS: [&str; 16] = [
    "pass",
    "pwd",
    "psw",
    "psk",
    "secret",
    "token",
    "credential",
    "cookie",
    "sessionid",
    "auth",
    "apikey",
    "accesskey",
    "privatekey",
    "cryptkey",
    "community",
    "nonce",
];

/// The longest text that is taken for the name of a secret, as in `{"name": "password"}`.
const NAME_MAX: usize = 32;

/// Whether the value of this name is not shown.
pub(super) fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.ends_with("key") || SECRET_WORDS.iter().any(|word| lower.contains(word))
}

/// Masks a text of unknown make: what precedes an `@` in a URL, and what follows `password=` or the
/// like, up to the end of the line or the next `&`.
pub(super) fn mask_text(text: &str) -> String {
    let text = mask_user_info(text);
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(value) = next_value(&lower, at) {
        shown.push_str(text.get(at..value).unwrap_or_default());
        shown.push_str(MASK);
        at = lower
            .get(value..)
            .and_then(|rest| rest.find(['&', '\n', '\r']))
            .map_or(text.len(), |length| value.saturating_add(length));
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown
}

/// Where the value of the next secret begins: behind its name, what belongs to the name, and a `=`
/// or `:`. Looks at each byte a bounded number of times, whatever the text.
fn next_value(lower: &str, from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let behind = next_word(lower, from)?;
        let tail = lower.get(behind..)?;
        let in_name =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '%');
        let name_end = behind.saturating_add(tail.find(|c| !in_name(c))?);
        let gap = lower.get(name_end..)?;
        let sign = gap.find(|c| !matches!(c, ' ' | '"' | '\'' | '\\'))?;
        if gap.get(sign..)?.starts_with(['=', ':']) {
            return Some(name_end.saturating_add(sign).saturating_add(1));
        }
        from = name_end;
    }
}

/// The end of the next secret word.
fn next_word(lower: &str, from: usize) -> Option<usize> {
    let rest = lower.get(from..)?;
    rest.char_indices().find_map(|(at, _)| {
        let here = rest.get(at..)?;
        let word = SECRET_WORDS.iter().find(|word| here.starts_with(**word))?;
        Some(from.saturating_add(at).saturating_add(word.len()))
    })
}

/// Masks `user:password@` behind each `//`. Takes the last `@` before white space or a quote, as a
/// password may hold any other character.
fn mask_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut parts = text.split("//");
    shown.push_str(parts.next().unwrap_or_default());
    for part in parts {
        shown.push_str("//");
        let end = part
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>'))
            .unwrap_or(part.len());
        let (url, rest) = part.split_at_checked(end).unwrap_or((part, ""));
        match url.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str(MASK);
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(url),
        }
        shown.push_str(rest);
    }
    shown
}

/// Masks a document: members with secret names, and the neighbours of `"name": "password"`. Every
/// other text is masked by [`mask_text`].
///
/// The depth was bounded when the document was read.
pub(super) fn mask_json(document: &mut Value) {
    match document {
        Value::Object(object) => {
            let names_a_secret = object.values().any(|value| {
                value
                    .as_str()
                    .is_some_and(|text| text.len() <= NAME_MAX && is_secret_name(text))
            });
            for (name, value) in object.iter_mut() {
                let is_scalar = !value.is_object() && !value.is_array();
                let is_the_name = matches!(value, Value::String(text) if text.len() <= NAME_MAX && is_secret_name(text));
                if is_secret_name(name) || (names_a_secret && is_scalar && !is_the_name) {
                    *value = Value::String(MASK.to_owned());
                } else {
                    mask_json(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask_json),
        Value::String(text) => *text = mask_text(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Masks XML or HTML without parsing it: the content of an element whose tag mentions a secret
/// anywhere, the text behind a text that names a secret, and all comments. Every other text and tag
/// is masked by [`mask_text`].
pub(super) fn mask_xml(text: &str) -> String {
    let mut masked = Xml::default();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, from) = rest.split_at_checked(start).unwrap_or((rest, ""));
        masked.text(before);
        let (markup, behind) = split_markup(from);
        masked.markup(markup);
        rest = behind;
    }
    masked.text(rest);
    masked.finish()
}

/// Splits a tag, comment or CDATA section from the front; what has no end reaches to the end.
fn split_markup(text: &str) -> (&str, &str) {
    let end = if text.starts_with("<!--") {
        text.find("-->").map(|at| at.saturating_add(3))
    } else if text.starts_with(CDATA) {
        text.find("]]>").map(|at| at.saturating_add(3))
    } else {
        tag_end(text)
    };
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

const CDATA: &str = "<![CDATA[";

/// The end of a tag: the first `>` outside of quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, '>') => return Some(at.saturating_add(1)),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None | Some(_), _) => {}
        }
    }
    None
}

#[derive(Default)]
struct Xml {
    shown: String,
    /// The element being hidden, and how many of its name are open in it.
    hidden: Option<(String, usize)>,
    hide_next_text: bool,
}

impl Xml {
    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        if text.trim().is_empty() {
            self.shown.push_str(text);
        } else if std::mem::take(&mut self.hide_next_text) {
            self.shown.push_str(MASK);
        } else {
            self.hide_next_text = is_secret_name(text);
            self.shown.push_str(&mask_text(text));
        }
    }

    fn markup(&mut self, markup: &str) {
        if let Some(inner) = markup.strip_prefix(CDATA) {
            self.text(inner.strip_suffix("]]>").unwrap_or(inner));
            return;
        }
        if markup.starts_with("<!--") {
            return;
        }
        let name = tag_name(markup);
        let is_closing = markup.starts_with("</");
        let is_empty =
            markup.ends_with("/>") || markup.starts_with("<?") || markup.starts_with("<!");
        if let Some((hidden, open)) = &mut self.hidden {
            if *hidden == name {
                if is_closing {
                    *open = open.saturating_sub(1);
                } else if !is_empty {
                    *open = open.saturating_add(1);
                }
                if *open == 0 {
                    self.hidden = None;
                    self.shown.push_str(&format!("{MASK}</{name}>"));
                }
            }
            return;
        }
        if is_closing || !is_secret_name(markup) {
            self.shown.push_str(&mask_text(markup));
        } else if is_empty {
            self.shown.push_str(&format!("<{name} {MASK}/>"));
        } else {
            self.shown.push_str(&format!("<{name}>"));
            self.hidden = Some((name.to_owned(), 1));
        }
    }

    fn finish(mut self) -> String {
        if self.hidden.is_some() {
            self.shown.push_str(MASK);
        }
        self.shown
    }
}

fn tag_name(tag: &str) -> &str {
    let inner = tag.trim_start_matches(['<', '/', '?', '!']);
    let end = inner
        .find(|c: char| c.is_whitespace() || matches!(c, '>' | '/' | '='))
        .unwrap_or(inner.len());
    inner.get(..end).unwrap_or(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &str = "S3cr@t/x&y";

    #[test]
    fn secrets_in_text_are_masked() {
        let rows = [
            ("GET /x HTTP/1.1", "GET /x HTTP/1.1"),
            (
                "/x?user=admin&password=S3&z=1",
                "/x?user=admin&password=********&z=1",
            ),
            ("/x?USERPWD = S3cret", "/x?USERPWD =********"),
            (
                "rtsp://admin:S3/c@x@10.0.0.1/live",
                "rtsp://********@10.0.0.1/live",
            ),
            ("http://10.0.0.1/live", "http://10.0.0.1/live"),
            ("GET //admin:S3@10.0.0.1/x", "GET //********@10.0.0.1/x"),
            ("passpass pass=1&token", "passpass pass=********&token"),
            ("passwords are short", "passwords are short"),
            (
                "{\\\"password\\\":\\\"S3\\\"}",
                "{\\\"password\\\":********",
            ),
            ("auth token[0]: S3 4\nnext", "auth token[0]:********\nnext"),
        ];
        for (text, expected) in rows {
            assert_eq!(mask_text(text), expected, "{text}");
        }
    }

    #[test]
    fn long_texts_are_masked_in_time() {
        for part in ["pass", "pass ", "pass=", "<pass>", "<a b=\"", "//", "@"] {
            let text = part.repeat(100_000);
            assert!(!mask_text(&text).is_empty());
            assert!(!mask_xml(&text).is_empty());
        }
    }

    #[test]
    fn secrets_in_json_are_masked() {
        let rows = [
            json!({"password": SECRET}),
            json!({"a": [{"szPassword": {"v": [SECRET]}}]}),
            json!([{"key": "userPwd", "value": SECRET}]),
            json!({"url": format!("rtsp://admin:{SECRET}@10.0.0.1/")}),
            json!({"text": format!("token={}", "S3cr@t/x")}),
            json!({"loginToken": 123_456, "x": "S"}),
        ];
        for mut document in rows {
            let before = document.to_string();
            mask_json(&mut document);
            let after = document.to_string();
            assert!(
                !after.contains("S3cr@t") && !after.contains("123456"),
                "{before} {after}"
            );
            assert!(after.contains(MASK), "{after}");
        }
        let mut harmless = json!({"IPCInfo": [{"szChlname": "Gate", "nPort": 9008}]});
        let before = harmless.clone();
        mask_json(&mut harmless);
        assert_eq!(harmless, before);
    }

    #[test]
    fn secrets_in_xml_are_masked() {
        let rows = [
            "<password>S3cr@t</password>",
            "<config><password type=\"string\"><![CDATA[S3cr@t]]></password></config>",
            "<item name='password'><v>S3cr@t</v></item>",
            "<item name=\"password\" value=\"S3cr@t\"/>",
            "<item><name>password</name><value>S3cr@t</value></item>",
            "<a><!-- S3cr@t --></a>",
            "<url>rtsp://admin:S3cr@t@10.0.0.1/</url>",
            "<userPwd>S3cr@t",
            "<pwd a=\"x>S3cr@t\">y</pwd>",
            "<pwd><pwd>S3cr@t</pwd>S3cr@t</pwd>",
        ];
        for text in rows {
            let masked = mask_xml(text);
            assert!(!masked.contains("S3cr@t"), "{text}: {masked}");
        }
        let harmless =
            "<config version=\"1.0\"><channelName><![CDATA[Gate]]></channelName></config>";
        assert_eq!(
            mask_xml(harmless),
            "<config version=\"1.0\"><channelName>Gate</channelName></config>"
        );
    }
}
