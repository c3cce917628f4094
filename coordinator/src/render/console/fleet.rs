//! A whole fleet in few lines.

use std::collections::BTreeMap;
use std::io::{self, Write};

use unicode_width::UnicodeWidthStr as _;

use super::Totals;
use super::text::{cut, harmless, padded};
use crate::results::ResultRecord;

/// How much of a site's name is shown, in cells.
const SITE_SHOWN: usize = 40;

/// Counts a result device by device; holds one line per site and one per failure code.
#[derive(Clone, Debug, Default)]
pub struct FleetSummary {
    totals: Totals,
    sites: BTreeMap<String, SiteTotals>,
    failures: BTreeMap<String, usize>,
    warnings: BTreeMap<String, usize>,
}

/// What became of one site's devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteTotals {
    /// Asked with success.
    pub ok: usize,
    /// Asked without success.
    pub failed: usize,
    /// Not reported: the site was offline or late, or the job was stopped.
    pub missing: usize,
    /// Channels of the devices that were asked with success.
    pub channels: usize,
}

impl FleetSummary {
    /// Counts one device.
    pub fn add(&mut self, record: &ResultRecord<'_>) {
        self.totals.add(record);
        if !self.sites.contains_key(record.site.as_ref()) {
            self.sites
                .insert(record.site.clone().into_owned(), SiteTotals::default());
        }
        let Some(site) = self.sites.get_mut(record.site.as_ref()) else {
            return;
        };
        let code = record.error_code.as_deref().unwrap_or("");
        if record.success {
            site.ok += 1;
            site.channels += record.cameras.len();
            if !code.is_empty() {
                *self.warnings.entry(code.to_owned()).or_default() += 1;
            }
            return;
        }
        if code.starts_with("site.") || code.starts_with("job.") {
            site.missing += 1;
        } else {
            site.failed += 1;
        }
        let reason = if code.is_empty() {
            record.error.as_deref().unwrap_or("unknown")
        } else {
            code
        };
        *self.failures.entry(reason.to_owned()).or_default() += 1;
    }

    /// The sum over all sites.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// The sites by name.
    pub fn sites(&self) -> impl Iterator<Item = (&str, SiteTotals)> {
        self.sites
            .iter()
            .map(|(name, totals)| (name.as_str(), *totals))
    }

    /// The reasons of failures, each with its devices: codes, or sentences where there is no code.
    pub fn failures(&self) -> impl Iterator<Item = (&str, usize)> {
        self.failures
            .iter()
            .map(|(reason, count)| (reason.as_str(), *count))
    }

    /// Writes the table of sites, then failures and warnings by code, most frequent first.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        let name = |name: &str| {
            let name = if name.is_empty() { "(no site)" } else { name };
            cut(&harmless(name), SITE_SHOWN).to_owned()
        };
        let width = self
            .sites
            .keys()
            .map(|site| name(site).width())
            .max()
            .unwrap_or(0)
            .max("Site".len());
        let heading = padded("Site", width);
        writeln!(
            writer,
            "{heading}  {:>7}  {:>7}  {:>7}  {:>8}",
            "ok", "failed", "missing", "channels"
        )?;
        for (site, totals) in &self.sites {
            let SiteTotals {
                ok,
                failed,
                missing,
                channels,
            } = totals;
            let site = padded(&name(site), width);
            writeln!(
                writer,
                "{site}  {ok:>7}  {failed:>7}  {missing:>7}  {channels:>8}"
            )?;
        }
        for (title, counts) in [("Failures", &self.failures), ("Warnings", &self.warnings)] {
            if counts.is_empty() {
                continue;
            }
            writeln!(writer, "\n{title}:")?;
            let mut counts: Vec<(&String, &usize)> = counts.iter().collect();
            counts.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
            for (code, count) in counts {
                writeln!(writer, "  {count:>5}  {}", harmless(code))?;
            }
        }
        let Totals {
            devices,
            ok,
            addressed,
            unaddressed,
        } = self.totals;
        let sites = self.sites.len();
        writeln!(
            writer,
            "\n{sites} site{}, {ok} of {devices} devices ok, {} channels ({addressed} with address)",
            if sites == 1 { "" } else { "s" },
            addressed + unaddressed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::super::fleet_summary;

    #[test]
    fn sites_and_codes_are_counted() {
        let mut bytes = Vec::new();
        let totals = fleet_summary(&sample::rows(), &mut bytes).unwrap();
        assert_eq!((totals.devices, totals.ok), (5, 3));
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "Site               ok   failed  missing  channels\n\
             Depot Süd           2        1        0         4\n\
             HQ / Tower 1        1        0        1         0\n\
             \n\
             Failures:\n      1  device.connect_refused\n      1  site.offline\n\
             \n\
             Warnings:\n      1  device.addresses_unknown\n      1  device.no_channels\n\
             \n\
             2 sites, 3 of 5 devices ok, 4 channels (2 with address)\n"
        );
    }
}
