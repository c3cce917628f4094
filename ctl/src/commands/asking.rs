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
    /// Start of the search for recordings, on the device's clock: YYYY-MM-DD HH:MM:SS
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
        Ok(AskScope {
            channel: self.channel,
            from: self.from.clone().unwrap_or_default(),
            to: self.to.clone().unwrap_or_default(),
            stream: None,
            camera: None,
        })
    }
}

/// A moment on a device's clock, as `2026-11-01 00:00:00`.
fn moment(text: &str) -> Result<String, String> {
    let shape = "dddd-dd-dd dd:dd:dd";
    let fits = text.len() == shape.len()
        && text
            .bytes()
            .zip(shape.bytes())
            .all(|(found, wanted)| match wanted {
                b'd' => found.is_ascii_digit(),
                other => found == other,
            });
    if fits {
        Ok(text.to_owned())
    } else {
        Err("write it as 2026-11-01 00:00:00".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_one_form() {
        assert!(moment("2026-11-01 00:00:00").is_ok());
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
    }
}
