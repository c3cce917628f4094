//! Stills of the web API.

use std::time::Instant;

use tvtfleet_proto::device::webapi::{Query, Scope, Step};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::answer::Answer as Found;
use tvtfleet_proto::model::report::Failure;

use super::{Errand, WebApiDevice, spent};
use crate::budget::Spent;
use crate::device::web::failure;

impl WebApiDevice<'_> {
    /// Gives the next exchanges until `deadline`, and room for answers of so many bytes.
    pub(crate) fn renew(&mut self, deadline: Instant, bytes_max: usize) {
        self.visit.deadline = deadline;
        self.link.renew(deadline, bytes_max);
    }

    /// The body that the device sends for a still of a channel, from 1. Whether it is a picture is not
    /// known yet.
    ///
    /// # Errors
    ///
    /// What the device or the way to it refused.
    pub(crate) async fn still(&mut self, channel: u32) -> Result<Vec<u8>, Failure> {
        let scope = Scope::default();
        loop {
            let random = uuid::Uuid::new_v4().as_u128();
            let credential = self.visit.gate.credential;
            let request = self
                .session
                .request(Query::Snapshot(channel), &scope, credential, random)
                .map_err(|trouble| self.failed(trouble))?;
            let response = self.link.send(&request).await.map_err(|failure| Failure {
                credentials_sent: self.in_vain(),
                ..failure
            })?;
            match self.session.read_picture(&response) {
                Ok(None) => {
                    self.settle(Spent::Accepted);
                    let dialect = self.session.dialect();
                    let endpoint = &self.visit.target.endpoint;
                    let known = &self.visit.site.web_known;
                    known.learn(endpoint, |known| known.dialect = Some(dialect));
                    return Ok(response.body);
                }
                Ok(Some(Step::Login(login))) => self.ask_gate(login).await?,
                Ok(Some(Step::Again | Step::Done(_))) => {}
                Err(trouble) => {
                    // What came after a proof with status 200 was sent to somebody it let in.
                    let let_in = trouble.code == ErrorCode::PictureNotJpeg;
                    self.settle(if let_in && response.status == 200 {
                        Spent::Accepted
                    } else {
                        spent(&trouble)
                    });
                    return Err(if trouble.code.kind() == ErrorKind::Credentials {
                        self.failed(trouble)
                    } else {
                        failure(trouble, self.in_vain())
                    });
                }
            }
        }
    }

    /// The port of the RTSP server, where the device tells it.
    pub(crate) async fn rtsp_port(&mut self) -> Option<u16> {
        let errand = Errand::new(tvtfleet_proto::model::ask::Ask::Ports, None)?;
        let found = self.run(errand).await.ok()?.finish().ok()?;
        let Some(Found::Ports(ports)) = found.answer else {
            return None;
        };
        let port = ports.iter().find_map(|ports| ports.rtsp)?;
        u16::try_from(port).ok().filter(|port| *port > 0)
    }
}
