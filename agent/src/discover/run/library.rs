//! The search of the vendor's library, beside everything else: one helper process that blocks for the
//! whole of it. What it sends is its own and not in the record of what was sent.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tvtfleet_proto::device::sdkpipe::{Answer, Request, Search, found};
use tvtfleet_proto::model::discovery::{Claims, DiscoverOptions, Method};

use crate::device::{Helper, VendorSettings, find_host, locate};
use crate::discover::merge::Seen;

/// The shortest and longest search, in seconds.
const SECONDS: (u64, u64) = (1, 60);
/// Time for the helper beyond the search itself.
const MARGIN: Duration = Duration::from_secs(5);

/// A search under way, if any.
#[derive(Debug, Default)]
pub(super) struct LibrarySearch {
    task: JoinSet<Result<Vec<Claims>, String>>,
}

impl LibrarySearch {
    /// Begins a search where the options want one. Dropped, it is killed.
    pub(super) fn begin(options: &DiscoverOptions, settings: &VendorSettings) -> Self {
        let mut search = Self::default();
        if options.methods.contains(&Method::Sdk) {
            let (settings, wait) = (settings.clone(), options.wait);
            search
                .task
                .spawn(async move { look(&settings, wait).await });
        }
        search
    }

    /// Whether no search is under way.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_empty()
    }

    /// Waits for the search to end; for ever if there is none. Says who was found, or what the operator
    /// should know.
    pub(super) async fn ended(&mut self) -> (Vec<Seen>, Option<String>) {
        match self.task.join_next().await {
            Some(Ok(Ok(found))) => (found.into_iter().filter_map(seen).collect(), None),
            Some(Ok(Err(note))) => (Vec::new(), Some(note)),
            Some(Err(_)) => {
                let note = "the search of the vendor's library was torn down";
                (Vec::new(), Some(note.to_owned()))
            }
            None => std::future::pending().await,
        }
    }
}

/// The library does not say who answered, so that the announced address stands for the sender's.
fn seen(claims: Claims) -> Option<Seen> {
    let at = claims.address?;
    Some(Seen::new(Method::Sdk, at, claims))
}

async fn look(settings: &VendorSettings, wait: Duration) -> Result<Vec<Claims>, String> {
    let unused = |why: &dyn std::fmt::Display| format!("no search by the vendor's library: {why}");
    let library = locate(settings.library.as_deref()).map_err(|error| unused(&error))?;
    let host = find_host(settings.host.as_deref()).map_err(|error| unused(&error))?;
    let started = Helper::start(&host, &library).await;
    let (mut helper, _) = started.map_err(|failure| unused(&failure.text))?;
    let (least, most) = SECONDS;
    let whole = wait.as_millis().div_ceil(1000);
    let seconds = u64::try_from(whole).unwrap_or(most).clamp(least, most);
    let request = Request::Search(Search {
        seconds: u8::try_from(seconds).unwrap_or(u8::MAX),
    });
    let until = Instant::now() + Duration::from_secs(seconds) + MARGIN;
    let answer = helper.call(&request, until).await;
    let answer = answer.map_err(|failure| unused(&failure.text))?;
    helper.leave().await;
    match answer {
        Answer::Found(rows) => Ok(rows.iter().filter_map(found).collect()),
        Answer::Failed(failed) => Err(unused(&format!("{} {:?}", failed.function, failed.reason))),
        Answer::Device(_)
        | Answer::Cameras(_)
        | Answer::Channels(_)
        | Answer::Clock(_)
        | Answer::Disks(_)
        | Answer::Recording(_)
        | Answer::RtspUrl(_)
        | Answer::Picture(_)
        | Answer::Document(_)
        | Answer::Done => Err(unused(&"the helper answers another question")),
    }
}
