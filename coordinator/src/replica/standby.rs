//! Answers questions while there is no leader.
//!
//! While there is one it answers them alone, so that everybody reads what he has just written.

use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use tvtfleet_bus::clock::{Clock as _, SystemClock};
use tvtfleet_bus::rpc::{Call, Reply, Server};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::subject::{self, API_ALL, COORDINATOR_QUEUE};

use crate::core::Core;
use crate::presence::Presence;
use crate::run::{API_REQUESTS, CoordinatorError, believe};
use crate::serve;
use crate::store::{Store, site};

use super::run::{Hearsay, Replica, lock};

/// The service of a standby, while it runs.
#[derive(Default)]
pub(super) struct Service {
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Service {
    /// Starts it, unless it runs.
    pub(super) async fn start(
        &mut self,
        replica: &Replica,
        store: &Store,
    ) -> Result<(), CoordinatorError> {
        if self
            .running
            .as_ref()
            .is_some_and(|(_, task)| !task.is_finished())
        {
            return Ok(());
        }
        let clock = SystemClock;
        let standings = store.read("read the sites", site::standings).await?;
        let offline_after = replica.config.timing.offline_after;
        let presence = Presence::restore(standings, offline_after, clock.instant());
        let trust = believe(&replica.config, store).await?;
        let core = Core::new(
            replica.bus.clone(),
            store.clone(),
            replica.config.clone(),
            Arc::new(clock),
            presence,
            trust,
        );
        let server = Server::open(&replica.bus, API_ALL, COORDINATOR_QUEUE, API_REQUESTS).await?;
        let (stop, name) = (CancellationToken::new(), replica.settings.name.clone());
        let (hearsay, stopping) = (replica.shared_hearsay(), stop.clone());
        let task = tokio::spawn(async move {
            let answers = move |call| {
                let (core, name, hearsay) = (core.clone(), name.clone(), Arc::clone(&hearsay));
                async move { answer(core, &name, &hearsay, call).await }
            };
            if let Err(error) = server.run(answers, stopping).await {
                tracing::warn!(%error, "questions are not answered any more");
            }
        });
        tracing::info!("nobody leads; answering questions meanwhile");
        self.running = Some((stop, task));
        Ok(())
    }

    /// Ends it and waits until it has let go of the database.
    pub(super) async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.cancel();
            if task.await.is_err() {
                tracing::debug!("the standby's service ended badly");
            }
        }
    }
}

async fn answer(
    core: Core,
    name: &str,
    hearsay: &Mutex<Hearsay>,
    call: Call,
) -> Result<Reply, ApiError> {
    let Hearsay {
        leader,
        heard,
        level,
    } = lock(hearsay).clone();
    let leader = if leader.is_empty() { "nobody" } else { &leader };
    let reads = subject::parse_api(&call.subject).is_some_and(|(_, op)| !op.writes());
    if !reads {
        return Err(ApiError {
            code: ErrorCode::CoordinatorStandby,
            message: format!(
                "this is the standby {name}; {leader} led, and was not heard for {} s",
                heard.elapsed().as_secs()
            ),
            hint: "try again in a moment".to_owned(),
        });
    }
    let behind = match level {
        Some(level) => format!(
            "{} s old at most",
            level.elapsed().as_secs().saturating_add(1)
        ),
        None => "of unknown age".to_owned(),
    };
    let note = format!("the standby {name} answers for {leader}; what it knows is {behind}");
    Ok(serve::answer_unrecorded(&core, &call)
        .await?
        .with_note(note))
}
