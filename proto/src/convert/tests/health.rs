//! Samples of how parts of a fleet are doing.

use crate::model::agent::SpoolHealth;
use crate::model::checkup::{Checkup, Finding, Level};

pub(super) fn spool_health() -> SpoolHealth {
    SpoolHealth {
        kept_bytes: 8192,
        damaged: 1,
        disk_free: 1 << 30,
    }
}

pub(super) fn checkup() -> Checkup {
    let found = Finding::ok("stream", "TVT_OUT", "91 % full");
    Checkup {
        findings: vec![found.worse(Level::Warn, "give it more room")],
    }
}
