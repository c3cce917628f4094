//! One trace from `tvtctl` through coordinator and agent to a device and the applied result.

use std::collections::BTreeSet;
use std::time::Duration;

use tvt_sim::FleetSpec;
use tvtfleet_tests::collector::{Collector, ExportedSpan};
use tvtfleet_tests::eventually;
use tvtfleet_tests::fleet::TestFleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_one_trace_from_the_command_line_to_the_database() {
    let collector = Collector::start().await;
    let mut fleet = TestFleet::empty(&FleetSpec::new(3, 2), Duration::ZERO).await;
    fleet.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    fleet.set("OTEL_BSP_SCHEDULE_DELAY", "50");
    fleet.start_coordinator();
    fleet.know_sites().await;
    fleet.start_agent("acme/north");
    fleet.until_online(1).await;
    let _ = fleet.ctl(&["scan", "--all"]).await.ended(0);

    eventually("every part of the path has exported its span", || async {
        let spans = collector.spans.all();
        let scan = spans
            .iter()
            .find(|span| span.name == "ctl.run" && span.attribute("tvt.command") == Some("scan"))?;
        let reached = connected(&spans, scan);
        let wanted = [
            ("tvtctl", "ctl.run"),
            ("tvt-coordinator", "job.submit"),
            ("tvt-agent", "job.run"),
            ("tvt-agent", "device.ask"),
            ("tvt-coordinator", "report.apply"),
        ];
        wanted
            .iter()
            .all(|(service, name)| reached.contains(&(*service, *name)))
            .then_some(())
    })
    .await;
}

/// The services and names of all spans that hang together with `start`: by trace, or by a link, which
/// stands where hours may lie between a cause and its effect.
fn connected<'a>(spans: &'a [ExportedSpan], start: &ExportedSpan) -> BTreeSet<(&'a str, &'a str)> {
    let mut traces = BTreeSet::from([start.trace.as_str()]);
    loop {
        let known = traces.len();
        for span in spans {
            let linked = |other: &&ExportedSpan| span.links.contains(&other.id);
            for other in spans.iter().filter(linked) {
                if traces.contains(other.trace.as_str()) {
                    traces.insert(&span.trace);
                }
            }
        }
        if traces.len() == known {
            break;
        }
    }
    let inside = |span: &&ExportedSpan| traces.contains(span.trace.as_str());
    spans
        .iter()
        .filter(inside)
        .map(|span| (span.service.as_str(), span.name.as_str()))
        .collect()
}
