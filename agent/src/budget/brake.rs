//! The brake of a job: many refused logins mean a wrong stored password, not broken devices.

/// A job is stopped when at least this many logins were refused ...
const BRAKE_REFUSED: u32 = 5;
/// ... and they are more than one in this many of the devices done.
const BRAKE_ONE_IN: u32 = 5;

/// Counts refused logins of one job at one site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brake {
    finished: u32,
    refused: u32,
}

impl Brake {
    /// Counts a device whose turn is over.
    pub(crate) fn count(&mut self, refused: bool) {
        self.finished = self.finished.saturating_add(1);
        self.refused = self.refused.saturating_add(u32::from(refused));
    }

    /// Whether no further login may be tried in the job.
    pub(crate) fn is_pulled(self) -> bool {
        self.refused >= BRAKE_REFUSED && self.refused.saturating_mul(BRAKE_ONE_IN) > self.finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_needs_five_and_a_fifth() {
        let pulled = |finished: u32, refused: u32| Brake { finished, refused }.is_pulled();
        assert!(!pulled(4, 4) && pulled(5, 5) && pulled(24, 5) && !pulled(25, 5));
        assert!(!pulled(100, 20) && pulled(100, 21) && !pulled(0, 0));
    }
}
