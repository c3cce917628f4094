//! What a driver is told about one try.

use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tvtfleet_proto::model::ask::AskScope;
use tvtfleet_proto::model::want::Target;

use super::gate::LoginGate;
use super::order::ChangeOrder;
use crate::work::SiteContext;

/// One try to ask one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    /// The device.
    pub(crate) target: &'a Target,
    /// The site's settings and policy.
    pub(crate) site: &'a SiteContext,
    /// The way to a login.
    pub(crate) gate: LoginGate<'a>,
    /// What the question is about.
    pub(crate) scope: &'a AskScope,
    /// What is to be changed, with asks that change something.
    pub(crate) change: Option<ChangeOrder<'a>>,
    /// When the device's time is up.
    pub(crate) deadline: Instant,
    /// Ends the try early.
    pub(crate) cancel: &'a CancellationToken,
}
