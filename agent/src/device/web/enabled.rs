//! Whether a web API that was switched on answers: the service starts after the switch says so.

use std::time::{Duration, Instant};

use tvtfleet_proto::device::webapi::{Query, Scope, Session, Step};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::Answer as Found;
use tvtfleet_proto::model::report::Failure;

use super::cgi::CgiDevice;
use super::link::Link;
use crate::device::interface::Answer;
use crate::device::order::CHANGED;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// The longest wait for one look.
const LOOK_MAX: Duration = Duration::from_secs(3);
/// Requests of one look: one for each dialect, and one more where a dialect asks again.
const REQUESTS_MAX: usize = 4;

impl CgiDevice<'_> {
    /// Waits, where a change switched the web API on, until it answers. The change stands in any case.
    pub(super) async fn wait_for_web_api(&self, mut answer: Answer) -> Answer {
        let switched_on = match &answer.answer {
            Some(Found::Changes(changes)) => changes.iter().any(|change| {
                change.setting.as_deref() == Some("web_api")
                    && change.new.as_deref() == Some("true")
                    && change.outcome.as_deref() == Some(CHANGED)
            }),
            _ => false,
        };
        if !switched_on || answer.failed.is_some() {
            return answer;
        }
        let limit = self.visit.site.web.service_start;
        let end = self.visit.deadline.min(Instant::now() + limit);
        while !self.web_api_answers().await {
            if Instant::now() + LOOK >= end || self.visit.cancel.is_cancelled() {
                let text = "the web API is switched on and does not answer yet";
                answer.failed = Some(Failure::new(ErrorCode::ChangeUnverified, text));
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        answer
    }

    /// Whether one of the dialects answers; no credential is shown.
    async fn web_api_answers(&self) -> bool {
        let look = async {
            let (mut session, scope) = (Session::new(None), Scope::default());
            let mut link = Link::new(self.visit, true);
            for _ in 0..REQUESTS_MAX {
                let request = session.request(Query::Info, &scope, None, 0);
                let Ok(request) = request else { return false };
                let Ok(response) = link.send(&request).await else {
                    return false;
                };
                match session.read(&response) {
                    Ok(Step::Again) => {}
                    Ok(Step::Done(_) | Step::Login(_)) => return true,
                    Err(_) => return false,
                }
            }
            false
        };
        tokio::time::timeout(LOOK_MAX, look).await.unwrap_or(false)
    }
}
