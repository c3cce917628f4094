//! What questions to devices are about, on the command line.

use tvtfleet_proto::model::ask::{Ask, AskScope};

use crate::error::CliError;

/// Options that say what a question is about.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What")]
pub(crate) struct ScopeArgs {
    /// Only this channel, counted from 1 [default: every channel]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    channel: Option<u32>,
    /// Start of the search for recordings: YYYY-MM-DD HH:MM:SS on the device's clock, or in UTC with a Z
    /// at the end
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<String>,
    /// End of the search for recordings
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<String>,
}

impl ScopeArgs {
    /// What an ask is about.
    ///
    /// # Errors
    ///
    /// `usage.invalid` where a search has no range.
    pub(crate) fn check(&self, ask: Ask) -> Result<AskScope, CliError> {
        let searches = ask == Ask::RecordingSegments;
        if searches && (self.from.is_none() || self.to.is_none()) {
            let message = format!("{ask} needs --from and --to");
            return Err(CliError::usage(message).hint("one day of one channel is a good start"));
        }
        let in_utc = |moment: &Option<String>| moment.as_deref().map(|text| text.ends_with('Z'));
        if self.from.is_some() && self.to.is_some() && in_utc(&self.from) != in_utc(&self.to) {
            let message = "--from and --to are on different clocks";
            return Err(CliError::usage(message).hint("end both with a Z for UTC, or neither"));
        }
        Ok(AskScope {
            channel: self.channel,
            from: self.from.clone().unwrap_or_default(),
            to: self.to.clone().unwrap_or_default(),
            stream: None,
            camera: None,
        })
    }
}

/// A moment on a device's clock, as `2026-11-01 00:00:00`, or in UTC, as `2026-11-01 00:00:00Z`.
fn moment(text: &str) -> Result<String, String> {
    let shape = "dddd-dd-dd dd:dd:dd";
    let bare = text.strip_suffix('Z').unwrap_or(text);
    let fits = bare.len() == shape.len()
        && bare
            .bytes()
            .zip(shape.bytes())
            .all(|(found, wanted)| match wanted {
                b'd' => found.is_ascii_digit(),
                other => found == other,
            });
    if fits {
        Ok(text.to_owned())
    } else {
        Err("write it as 2026-11-01 00:00:00, or 2026-11-01 00:00:00Z for UTC".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_one_form() {
        assert!(moment("2026-11-01 00:00:00").is_ok());
        assert!(moment("2026-11-01 00:00:00Z").is_ok());
        for bad in [
            "",
            "2026-11-01",
            "2026-11-01T00:00:00",
            "2026-11-01 00:00:0x",
        ] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_search_has_a_range() {
        let none = ScopeArgs::default();
        assert!(none.check(Ask::RecordingSegments).is_err());
        assert!(none.check(Ask::Clock).is_ok());
        let range = |from: &str, to: &str| ScopeArgs {
            channel: None,
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
        };
        let (here, utc) = ("2026-11-01 00:00:00", "2026-11-02 00:00:00Z");
        assert!(range(here, utc).check(Ask::RecordingSegments).is_err());
        assert!(range(utc, utc).check(Ask::RecordingSegments).is_ok());
    }
}
