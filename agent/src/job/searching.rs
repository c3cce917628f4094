//! The discovery of a job: looks for devices, and keeps what was found and how far it got, so that a
//! restart goes on.
//!
//! Where the job is nothing but a discovery, a device is reported as soon as enough is known of it.
//! Where the devices are to be asked something, they join the job's targets at the end.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ipnet::{IpNet, Ipv4Net};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::Progress;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::discovery::{
    DiscoverOptions, DiscoverReport, DiscoveredDevice, Politeness, Searched,
};
use tvtfleet_proto::model::id::TargetNo;
use tvtfleet_proto::model::report::{DeviceReport, Failure};
use tvtfleet_proto::model::want::{OutItem, SiteOutcome, SiteWork};

use crate::discover::{self, DiscoverContext, DiscoverEvent};
use crate::found::{FoundDevices, join_targets};

use super::{JobTask, Placing, until, warn_journal};

/// Events of a discovery that wait; more are left out.
const EVENTS: usize = 256;
/// How often settled devices are looked for.
const TICK: Duration = Duration::from_millis(500);
/// Every how many ticks the cursor is noted.
const CURSOR_TICKS: u32 = 10;

/// Why a discovery was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// The agent stops; the next start goes on.
    Agent,
    /// The job is over for another reason.
    Job(SiteOutcome),
}

impl JobTask {
    /// Does the discovery that the work begins with, if there is one. What it found joins the
    /// targets, or is reported where nothing else was asked. Without success, how the job ends.
    pub(super) async fn search(&mut self, work: &mut SiteWork) -> Result<(), Option<SiteOutcome>> {
        let Some(options) = work.options.discover.take() else {
            return Ok(());
        };
        let alone = work.options.ask == Ask::Discover;
        if self.job.searched.is_none() {
            self.look(*options, work, alone).await?;
        }
        if alone {
            return self.report_found().await;
        }
        self.found_as = join_targets(&mut work.targets, &self.job.found);
        Ok(())
    }

    async fn look(
        &mut self,
        mut options: DiscoverOptions,
        work: &SiteWork,
        alone: bool,
    ) -> Result<(), Option<SiteOutcome>> {
        let _turn = self.turn().await?;
        options.resume = self.job.cursor.or(options.resume);
        let mut excluded = options.excludes.clone();
        let policy = &self.context.devices.policy;
        excluded.extend(policy.excludes.iter().filter_map(|net| match net {
            IpNet::V4(net) => Some(*net),
            IpNet::V6(_) => None,
        }));
        let mut found = FoundDevices::new(&work.targets, &self.job.found);
        // One that goes on after a restart was begun before.
        let allowed = match self.job.cursor {
            Some(_) => policy.check_discover(),
            None => policy
                .check_discover()
                .and_then(|()| policy.check_hours(Ask::Discover, self.context.devices.clock.now())),
        };
        let (result, stopped) = match allowed {
            Ok(()) => self.run_discovery(options, &mut found, alone).await,
            Err(failure) => (Err(failure), None),
        };
        let result = match result {
            Ok(mut report) => {
                let devices = std::mem::take(&mut report.devices);
                for (number, device) in found.finish(devices, Instant::now()) {
                    self.keep_found(number, device);
                }
                Ok(report)
            }
            Err(failure) => Err(failure),
        };
        if stopped == Some(Stopped::Agent) {
            return Err(None);
        }
        let failure = self.say_searched(result, excluded, &found).await?;
        match (stopped, failure) {
            (Some(Stopped::Job(outcome)), _) => {
                // What was found until then counts.
                if alone {
                    self.report_found().await?;
                }
                Err(Some(outcome))
            }
            (_, Some(code)) if alone => Err(Some(SiteOutcome::Refused(code))),
            (_, _) => Ok(()),
        }
    }

    /// Waits until no other job of the site looks for devices and there is room for what is found:
    /// the pace is meant for the site, not for each job.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Option<SiteOutcome>> {
        let searching = std::sync::Arc::clone(&self.context.devices.searching);
        let mut full = self.context.full.clone();
        let ready = async {
            let turn = searching.acquire_owned().await;
            // An error means that the spool is gone; the agent is being stopped then.
            let _ = full.wait_for(|full| !full).await;
            turn
        };
        tokio::select! {
            biased;
            () = self.context.stop.cancelled() => Err(None),
            () = self.unwanted.cancelled() => Err(Some(SiteOutcome::Cancelled)),
            () = until(&self.context, self.job.want.not_after) => Err(Some(SiteOutcome::Expired)),
            turn = ready => turn.map_err(|_| None),
        }
    }

    async fn run_discovery(
        &mut self,
        options: DiscoverOptions,
        found: &mut FoundDevices,
        alone: bool,
    ) -> (Result<DiscoverReport, Failure>, Option<Stopped>) {
        let devices = &self.context.devices;
        let context = DiscoverContext {
            policy: devices.policy.clone(),
            clock: std::sync::Arc::clone(&devices.clock),
            vendor: devices.vendor.clone(),
        };
        let (sender, mut events) = mpsc::channel(EVENTS);
        let cancel = CancellationToken::new();
        let looking = discover::run(options, context, sender, cancel.clone());
        tokio::pin!(looking);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0_u32;
        let (stop, unwanted) = (self.context.stop.clone(), self.unwanted.clone());
        let outer = self.context.clone();
        let late = until(&outer, self.job.want.not_after);
        tokio::pin!(late);
        let mut placing: FuturesUnordered<Placing> = FuturesUnordered::new();
        let mut stopped = None;
        let mut progress = self.searching();
        let result = loop {
            tokio::select! {
                result = &mut looking => break result,
                () = stop.cancelled(), if stopped.is_none() => stopped = Some(Stopped::Agent),
                () = unwanted.cancelled(), if stopped.is_none() => {
                    stopped = Some(Stopped::Job(SiteOutcome::Cancelled));
                }
                () = &mut late, if stopped.is_none() => {
                    stopped = Some(Stopped::Job(SiteOutcome::Expired));
                }
                Some((target, device)) = placing.next(), if !placing.is_empty() => {
                    if let Some(device) = device {
                        self.note(target, device);
                    }
                }
                Some(event) = events.recv() => match event {
                    DiscoverEvent::Found(device) | DiscoverEvent::Updated(device) => {
                        found.see(*device, Instant::now());
                    }
                    DiscoverEvent::Progress { done, total, cursor, .. } => {
                        (progress.probes_done, progress.probes_total) = (done, total);
                        // Once the first round is done, a restart begins it anew.
                        self.job.cursor = cursor;
                    }
                    DiscoverEvent::Sweeping { .. } | DiscoverEvent::Note(_) => {}
                },
                _ = tick.tick() => {
                    for (number, device) in found.settled(Instant::now()) {
                        self.keep_found(number, device.clone());
                        if alone {
                            let report = self.found_report(number, device);
                            placing.extend(self.submit(report).await);
                        }
                    }
                    ticks = ticks.wrapping_add(1);
                    if ticks.is_multiple_of(CURSOR_TICKS) {
                        self.keep_cursor();
                    }
                }
            }
            if stopped.is_some() {
                cancel.cancel();
            }
            progress.found = found.len();
            self.context.status.set_progress(progress);
        };
        while let Some((target, device)) = placing.next().await {
            if let Some(device) = device {
                self.note(target, device);
            }
        }
        if let Ok(report) = &result {
            self.job.cursor = report.cursor;
            self.keep_cursor();
        }
        let result = result.map_err(|error| {
            let hint = if error.hint.is_empty() {
                String::new()
            } else {
                format!("; {}", error.hint)
            };
            Failure::new(error.code, format!("{}{hint}", error.text))
        });
        (result, stopped)
    }

    /// Tells how the discovery went. Says why it was not begun, if it was not.
    async fn say_searched(
        &mut self,
        result: Result<DiscoverReport, Failure>,
        excluded: Vec<Ipv4Net>,
        found: &FoundDevices,
    ) -> Result<Option<ErrorCode>, Option<SiteOutcome>> {
        let mut searched = Searched {
            job: self.job.want.job,
            at: self.context.devices.clock.now(),
            politeness: Politeness::default(),
            notes: Vec::new(),
            covered: Vec::new(),
            excluded,
            found: u32::try_from(self.job.found.len()).unwrap_or(u32::MAX),
            failure: None,
        };
        match result {
            Ok(report) => {
                searched.politeness = report.politeness;
                searched.notes = report.notes;
                searched.covered = report.covered;
                if found.dropped() > 0 {
                    let text = format!("{} more devices were left out", found.dropped());
                    searched.notes.push(text);
                    // Among them may be any that seems to be gone.
                    searched.covered.clear();
                }
            }
            Err(failure) => {
                tracing::warn!(error.r#type = %failure.code, error = %failure, "no discovery");
                searched.failure = Some(failure);
            }
        }
        tracing::info!(
            found = searched.found,
            addresses = searched.politeness.addresses,
            "discovery ends"
        );
        let code = searched.failure.as_ref().map(|failure| failure.code);
        let item = OutItem::Searched(Box::new(searched));
        let Ok(sequence) = self.context.writer.write(item, &self.trace).await else {
            return Err(None);
        };
        self.job.searched = Some(sequence);
        if let Err(error) = self.file.note_searched(sequence) {
            warn_journal(&error);
        }
        Ok(code)
    }

    /// Reports every device that was found and not reported yet.
    async fn report_found(&mut self) -> Result<(), Option<SiteOutcome>> {
        let left: Vec<_> = self
            .job
            .found
            .iter()
            .filter(|(number, _)| !self.job.reported.contains_key(number))
            .map(|(number, device)| (*number, device.clone()))
            .collect();
        let mut placing: FuturesUnordered<Placing> = FuturesUnordered::new();
        for (number, device) in left {
            let report = self.found_report(number, device);
            let Some(place) = self.submit(report).await else {
                return Err(None);
            };
            placing.push(place);
        }
        while let Some((target, device)) = placing.next().await {
            match device {
                Some(device) => self.note(target, device),
                None => return Err(None),
            }
        }
        Ok(())
    }

    fn found_report(&self, number: TargetNo, device: DiscoveredDevice) -> DeviceReport {
        DeviceReport {
            job: self.job.want.job,
            target: number,
            ask: Ask::Discover,
            observed_at: self.context.devices.clock.now(),
            backend: Backend::Discovery,
            facts: device.facts(),
            channels: Vec::new(),
            failure: None,
            warnings: Vec::new(),
            attempts: Vec::new(),
            found: Some(Box::new(device)),
            answer: None,
        }
    }

    fn keep_found(&mut self, number: TargetNo, device: DiscoveredDevice) {
        if let Err(error) = self.file.note_found(number, &device) {
            warn_journal(&error);
        }
        self.job.found.insert(number, device);
    }

    fn keep_cursor(&mut self) {
        if let Some(cursor) = self.job.cursor
            && let Err(error) = self.file.note_cursor(cursor)
        {
            warn_journal(&error);
        }
    }

    fn searching(&self) -> Progress {
        Progress {
            job: self.job.want.job,
            done: 0,
            failed: 0,
            running: 0,
            total: 0,
            found: u32::try_from(self.job.found.len()).unwrap_or(u32::MAX),
            probes_done: 0,
            probes_total: 0,
        }
    }
}
