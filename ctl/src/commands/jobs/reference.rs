//! How a command names a job.

use std::str::FromStr;

use tvtfleet_proto::model::api::{JobStatus, ShowJob};
use tvtfleet_proto::model::id::JobId;

use crate::error::CliError;
use crate::server::Server;

/// A job by its id, or the newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobReference {
    /// This one.
    Id(JobId),
    /// The newest one: `last`.
    Last,
}

impl FromStr for JobReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "last" {
            return Ok(Self::Last);
        }
        let id = text.parse().map(Self::Id);
        id.map_err(|_| {
            "write the id of a job, as tvtctl jobs list shows it, or \"last\"".to_owned()
        })
    }
}

impl JobReference {
    /// The job as it stands now.
    ///
    /// # Errors
    ///
    /// `job.unknown`, or the coordinator cannot be asked.
    pub(crate) async fn show(self, server: &Server) -> Result<JobStatus, CliError> {
        let job = match self {
            Self::Id(id) => Some(id),
            Self::Last => None,
        };
        server
            .show_job(ShowJob {
                job,
                after_version: 0,
                wait: std::time::Duration::ZERO,
                cursor: String::new(),
            })
            .await
    }

    /// The job's id; asks the coordinator where that is not known yet.
    ///
    /// # Errors
    ///
    /// `job.unknown`, or the coordinator cannot be asked.
    pub(crate) async fn id(self, server: &Server) -> Result<JobId, CliError> {
        match self {
            Self::Id(id) => Ok(id),
            Self::Last => Ok(self.show(server).await?.job.id),
        }
    }
}
