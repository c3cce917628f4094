//! What changing asks set, on the command line.

use std::collections::BTreeMap;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::{CredentialLabel, JobId};
use tvtfleet_proto::model::order::{Order, settings_of};

use crate::error::CliError;

/// Options of changes.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Changes")]
pub(crate) struct OrderArgs {
    /// A setting with its new value; may be repeated. What is not named stays
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Show what would be changed, and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Change the devices; without it, or --dry-run, nothing is done
    #[arg(long)]
    yes: bool,
    /// Devices of a site that come first, none of which may fail; other sites wait for those of the first
    /// [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    canary: Option<u32>,
    /// Devices of a site that make a wave; the next begins when all of it are done [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    wave: Option<u32>,
    /// Failed devices, at all sites together, after which the rest is left alone [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    stop_after: Option<u32>,
}

impl OrderArgs {
    /// What an ask sets; `None` with asks that change nothing.
    ///
    /// # Errors
    ///
    /// `usage.invalid` for what does not fit the ask; `change.unconfirmed`.
    pub(crate) fn order(
        &self,
        ask: Ask,
        undo: Option<JobId>,
        new_credential: Option<CredentialLabel>,
    ) -> Result<Option<Order>, CliError> {
        let named = self.dry_run
            || self.yes
            || !self.set.is_empty()
            || undo.is_some()
            || new_credential.is_some()
            || [self.canary, self.wave, self.stop_after]
                .iter()
                .any(Option::is_some);
        if !ask.changes_device() {
            return if named {
                Err(CliError::usage(format!("{ask} changes nothing"))
                    .hint("options of changes go with set-… and reboot"))
            } else {
                Ok(None)
            };
        }
        let usual = Order::default();
        let settings: BTreeMap<String, String> = self.set.iter().cloned().collect();
        if settings.len() < self.set.len() {
            return Err(CliError::usage("a setting is named twice"));
        }
        let order = Order {
            settings,
            new_credential,
            undo,
            dry_run: self.dry_run,
            canary: self.canary.unwrap_or(usual.canary),
            wave: self.wave.unwrap_or(usual.wave),
            stop_after: self.stop_after.unwrap_or(usual.stop_after),
        };
        order.check(ask).map_err(|error| {
            let names: Vec<&str> = settings_of(ask).collect();
            let error = CliError::usage(error.to_string());
            if names.is_empty() {
                error
            } else {
                error.hint(format!("--set takes {}", names.join(", ")))
            }
        })?;
        if !self.dry_run && !self.yes {
            let text = format!("{ask} changes devices and was not confirmed");
            return Err(CliError::new(ErrorCode::ChangeUnconfirmed, text)
                .hint("--dry-run shows what would be changed, --yes changes it"));
        }
        Ok(Some(order))
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(set: &[&str], dry_run: bool, yes: bool) -> OrderArgs {
        OrderArgs {
            set: set.iter().map(|text| setting(text).unwrap()).collect(),
            dry_run,
            yes,
            ..OrderArgs::default()
        }
    }

    #[test]
    fn a_change_is_confirmed_or_only_looked_at() {
        let code = |args: &OrderArgs, ask| args.order(ask, None, None).map_err(|error| error.code);
        let named = ["rtsp=false"];
        let ask = Ask::SetServices;
        assert_eq!(
            code(&args(&named, false, false), ask),
            Err(ErrorCode::ChangeUnconfirmed)
        );
        assert!(
            code(&args(&named, true, false), ask)
                .unwrap()
                .unwrap()
                .dry_run
        );
        assert!(
            !code(&args(&named, false, true), ask)
                .unwrap()
                .unwrap()
                .dry_run
        );
        assert_eq!(
            code(&args(&[], false, true), ask),
            Err(ErrorCode::UsageInvalid)
        );
        assert_eq!(
            code(&args(&[], false, true), Ask::Clock),
            Err(ErrorCode::UsageInvalid)
        );
        assert_eq!(code(&args(&[], false, false), Ask::Clock), Ok(None));
        let value = args(&["name=a=b"], true, false);
        let order = code(&value, Ask::SetOsd).unwrap().unwrap();
        assert_eq!(order.settings["name"], "a=b");
    }
}
