//! Tries a credential of the site on devices, for whoever has just put it into the vault.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tvtfleet_proto::error::ErrorKind;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::id::{CredentialLabel, JobId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::budget::AttemptBudget;
use crate::config::AgentConfig;
use crate::retry::RetrySettings;
use crate::service::{AgentError, lock, site_context};
use crate::work::{WorkEvent, run_work};

/// Results that wait to be taken.
const EVENTS: usize = 16;

/// What a device said to a credential: nothing where it let the agent in.
pub type Rehearsed = (Endpoint, Option<Failure>);

/// Logs in to each device once with the credential of a label, over the binary protocol. What the policy
/// forbids and what the budget of attempts withholds is not tried, and a refusal counts in that budget as
/// any other. The agent of the data folder must not run.
///
/// # Errors
///
/// `storage.locked` where the agent runs; otherwise as [`site_context`].
pub async fn rehearse(
    config: &AgentConfig,
    label: &CredentialLabel,
    devices: Vec<Endpoint>,
) -> Result<Vec<Rehearsed>, AgentError> {
    let _lock = lock(&config.data_dir)?;
    let mut site = site_context(config)?.with_retry(RetrySettings {
        retries: 0,
        ..config.retry
    });
    site.budget = AttemptBudget::open(&config.data_dir)?;
    let targets = devices.iter().zip(0_u32..);
    let targets = targets.map(|(endpoint, number)| Target {
        number: TargetNo(number),
        endpoint: endpoint.clone(),
        known_mac: None,
        // Whoever names a device at the box means it.
        trusted: true,
        credential: Some(label.clone()),
        settings: std::collections::BTreeMap::new(),
    });
    let work = SiteWork {
        options: WorkOptions {
            backend: BackendChoice::Only(Backend::Protocol),
            credential: Some(label.clone()),
            ..WorkOptions::default()
        },
        targets: targets.collect(),
    };
    let (events, mut told) = mpsc::channel(EVENTS);
    let job = JobId::new(uuid::Uuid::new_v4());
    let stop = CancellationToken::new();
    let taken = async {
        let mut said = Vec::new();
        while let Some(event) = told.recv().await {
            let WorkEvent::Finished(report) = event else {
                continue;
            };
            let index = usize::try_from(report.target.0).unwrap_or(usize::MAX);
            if let Some(endpoint) = devices.get(index) {
                // Something missing in the answer came after the login.
                let failure = report.failure;
                let failure = failure.filter(|failure| failure.code.kind() != ErrorKind::Partial);
                said.push((endpoint.clone(), failure));
            }
        }
        said
    };
    let (_end, said) = tokio::join!(run_work(job, work, Arc::new(site), stop, events), taken);
    Ok(said)
}
