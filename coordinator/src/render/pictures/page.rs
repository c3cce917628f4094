//! A contact sheet as a page: one part a site, one figure a channel. It needs no other file, and
//! follows no link but to the pictures.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::manifest::{Manifest, PictureRow};

/// Writes a page. `small` gives the small picture of a row's place as the content of a `data:` address
/// in base64; `link` the address of its file.
///
/// # Errors
///
/// Those of `out`.
pub fn page(
    manifest: &Manifest,
    small: impl Fn(usize) -> Option<String>,
    link: impl Fn(&PictureRow) -> Option<String>,
    mut out: impl Write,
) -> io::Result<()> {
    let mut sites: Vec<&str> = manifest
        .pictures
        .iter()
        .map(|row| row.site.as_str())
        .collect();
    sites.sort_unstable();
    sites.dedup();
    writeln!(
        out,
        "{HEAD}<h1>Pictures</h1><p>{} taken, {} offline, {} failed &middot; {}</p>",
        manifest.taken,
        manifest.offline,
        manifest.failed,
        escaped(&manifest.finished)
    )?;
    for site in sites {
        let shown = if site.is_empty() {
            "Without a site"
        } else {
            site
        };
        writeln!(out, "<h2>{}</h2><div>", escaped(shown))?;
        for (place, row) in manifest.pictures.iter().enumerate() {
            if row.site == site {
                out.write_all(figure(row, small(place), link(row)).as_bytes())?;
            }
        }
        writeln!(out, "</div>")?;
    }
    writeln!(out, "</body></html>")
}

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Pictures</title>
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">
<style>
body{font:14px sans-serif;margin:1.5em;background:#fff;color:#111}
div{display:flex;flex-wrap:wrap;gap:10px}
figure{margin:0;width:240px;border:1px solid #bbb;background:#f4f4f4}
figure.failed,figure.offline{background:#fff}
figure.doubtful{border-color:#b50}
img,p.none{width:240px;height:150px;object-fit:contain;background:#222;display:block;margin:0}
p.none{background:#ddd;display:flex;align-items:center;justify-content:center;text-align:center}
figcaption{padding:4px 6px;overflow-wrap:anywhere}
b{color:#b50}
</style></head><body>
";

fn figure(row: &PictureRow, small: Option<String>, link: Option<String>) -> String {
    let doubtful = if row.flags.is_empty() {
        ""
    } else {
        " doubtful"
    };
    let mut text = format!("<figure class=\"{}{doubtful}\">", escaped(&row.state));
    let channel = row
        .channel
        .map(|channel| format!("channel {channel}"))
        .unwrap_or_default();
    let body = match (small, row.state.as_str()) {
        (Some(data), _) => format!(
            "<img alt=\"{} {channel}\" src=\"data:image/jpeg;base64,{data}\">",
            escaped(&row.device)
        ),
        (None, "offline") => "<p class=\"none\">offline</p>".to_owned(),
        (None, _) => {
            let why = if row.error_code.is_empty() {
                &row.format
            } else {
                &row.error_code
            };
            format!("<p class=\"none\">{}</p>", escaped(why))
        }
    };
    // Writing to a String cannot fail.
    let _ = match link {
        Some(link) => write!(text, "<a href=\"{}\">{body}</a>", escaped(&link)),
        None => write!(text, "{body}"),
    };
    let _ = write!(
        text,
        "<figcaption>{} {channel} {}<br>{}",
        escaped(&row.device),
        escaped(&row.name),
        escaped(&row.time)
    );
    if !row.flags.is_empty() {
        let _ = write!(text, "<br><b>{}</b>", escaped(&row.flags.join(", ")));
    }
    text.push_str("</figcaption></figure>\n");
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_devices_cannot_break_out() {
        let row = PictureRow {
            site: "<script>x</script>".into(),
            device: "10.0.0.9".into(),
            channel: Some(1),
            name: "\"><img src=x onerror=y>".into(),
            state: "taken".into(),
            flags: vec!["black".into()],
            ..PictureRow::default()
        };
        let failed = PictureRow {
            state: "failed".into(),
            error_code: "rtsp.not_found".into(),
            ..PictureRow::default()
        };
        let manifest = Manifest {
            pictures: vec![row, failed],
            ..Manifest::default()
        };
        let mut out = Vec::new();
        let small = |place| (place == 0).then(|| "QUJD".to_owned());
        page(&manifest, small, |_| Some("a\"b.jpg".into()), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            !text.contains("<script") && !text.contains("<img src=x"),
            "{text}"
        );
        assert!(text.contains("data:image/jpeg;base64,QUJD") && text.contains("a&quot;b.jpg"));
        assert!(text.contains("rtsp.not_found") && text.contains("Without a site"));
        assert!(text.contains("class=\"taken doubtful\""), "{text}");
    }
}
