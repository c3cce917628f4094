//! Questions of the recorders' pages, through the library's session: no open web port is needed, and
//! devices that are known by their serial number have no other.
//!
//! UNCERTAIN: which commands a recorder answers this way without a token. A later pytvt asks for platform
//! access so; the answer of one recorder to each command would settle it.

use std::time::Duration;

use tvtfleet_proto::device::cgi::{Command, Errand, Reply, Session, envelope};
use tvtfleet_proto::device::http::{Response, Trouble};
use tvtfleet_proto::device::sdkpipe::{Answer as SdkAnswer, Request, Tunnel};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::ask::{Ask, AskScope};
use tvtfleet_proto::model::report::Failure;

use super::driver::{NetsdkDevice, READS};
use crate::device::Answer;
use crate::device::web::{answer, failure};

/// Time for one document; the helper may send it twice.
const DOCUMENT: Duration = Duration::from_secs(25);
/// What stands for the token: the session is the library's.
const NO_TOKEN: &str = "null";

/// Whether an ask has no function of the library's own, and the pages can answer it.
pub(super) fn by_pages(ask: Ask) -> bool {
    ask != Ask::Scan && !READS.contains(&ask) && Errand::new(ask, None).is_some()
}

impl NetsdkDevice<'_> {
    /// Logs in and runs the errand of an ask.
    pub(super) async fn ask_pages(&mut self, ask: Ask) -> Result<Answer, Failure> {
        let AskScope {
            channel, from, to, ..
        } = self.visit.scope;
        let errand = Errand::new(ask, *channel).ok_or_else(|| {
            let text = "the vendor's library cannot answer this";
            Failure::new(ErrorCode::UnsupportedVariant, text)
        })?;
        let mut errand = errand
            .within(from, to)
            .map_err(|trouble| failure(trouble, false))?;
        self.log_in().await?;
        let address = self.visit.target.endpoint.host.to_string();
        while let Some(command) = errand.question().cloned() {
            let result = self.document(&command).await?;
            errand
                .take(&address, result)
                .map_err(|trouble| failure(trouble, false))?;
        }
        let found = errand.finish().map_err(|trouble| failure(trouble, false))?;
        let mut answer = answer(ask, found);
        if answer.facts.serial.is_empty() {
            answer.facts.serial.clone_from(&self.facts.serial);
            answer.facts.mac = answer.facts.mac.or(self.facts.mac);
        }
        Ok(answer)
    }

    /// Asks one question. The outer error ends the visit.
    async fn document(&mut self, command: &Command) -> Result<Result<Reply, Trouble>, Failure> {
        let request = envelope(command.name(), Some(NO_TOKEN), command.parts());
        let tunnel = Request::Tunnel(Tunnel {
            path: command.name().to_owned(),
            body: request.body.to_string(),
        });
        let said = self.call(&tunnel, DOCUMENT).await?;
        let SdkAnswer::Document(text) = said else {
            let failure = self.unexpected(&said);
            return Err(Failure {
                // The device has accepted it.
                credentials_sent: false,
                ..failure
            });
        };
        let response = Response {
            status: 200,
            headers: Vec::new(),
            body: text.into_bytes(),
        };
        match Session::default().read(&response) {
            Err(trouble) if trouble.code.kind() == ErrorKind::Credentials => {
                Err(failure(trouble, false))
            }
            other => Ok(other),
        }
    }
}
