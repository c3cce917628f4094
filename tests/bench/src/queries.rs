//! Questions of operators, asked one after the other, and how long the answers take.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::Bus;
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;

use crate::service::ask;

/// The pause between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(5);
/// Rows of a page of devices.
const ROWS: u32 = 100;

/// How long answers took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Times that were measured elsewhere.
    pub(crate) fn of(times: Vec<Duration>) -> Self {
        Self(times)
    }

    /// The time within which this share of all answers came, in milliseconds.
    pub(crate) fn millis(&mut self, per_cent: usize) -> f64 {
        self.0.sort_unstable();
        let at = self.0.len().saturating_sub(1).saturating_mul(per_cent) / 100;
        self.0
            .get(at)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }

    /// How many answers there were.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Asks by turns for a page of devices, the newest job, and a page of sites, until told to stop.
pub(crate) async fn ask_until(
    bus: &Bus,
    sites: &[String],
    stop: &CancellationToken,
) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for (turn, site) in sites.iter().cycle().enumerate() {
        if stop.is_cancelled() {
            break;
        }
        let began = Instant::now();
        match turn % 3 {
            0 => {
                let query = v1::ListDevices {
                    sites: vec![site.clone()],
                    limit: ROWS,
                    ..v1::ListDevices::default()
                };
                let _: v1::DevicePage = ask(bus, ApiOp::InventoryList, &query).await?;
            }
            1 => {
                let _: v1::JobStatus = ask(bus, ApiOp::JobShow, &v1::ShowJob::default()).await?;
            }
            _ => {
                let query = v1::ListSites {
                    cursor: site.clone(),
                    ..v1::ListSites::default()
                };
                let _: v1::SiteList = ask(bus, ApiOp::SiteList, &query).await?;
            }
        }
        latencies.0.push(began.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_answers_that_were_given() {
        let mut latencies = Latencies((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((latencies.millis(50), latencies.millis(99)), (50.0, 99.0));
        assert!(Latencies::default().millis(50).is_nan());
    }
}
