//! The brake of a tenant in a job: a wrong fleet password must not lock a fleet.
//!
//! Each site stops by itself once many of its devices refuse the login. That is not enough where a
//! tenant has many small sites, or many sites at once: so the coordinator adds them up, and stops the rest
//! of the tenant's work in the job. Other tenants have other passwords, and go on.

/// A tenant's work is stopped when at least this many logins were refused ...
pub(crate) const REFUSED: u32 = 5;
/// ... at at least this many sites: where it is only one, that site's own brake is enough ...
pub(crate) const SITES: u32 = 2;
/// ... and they are more than one in this many of the devices that were asked.
pub(crate) const ONE_IN: u32 = 5;

/// What is known about the logins of a tenant in a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TenantLogins {
    /// Devices that were reported, without those that a brake left out.
    pub(crate) asked: u32,
    /// How many of these refused the login.
    pub(crate) refused: u32,
    /// At how many sites.
    pub(crate) sites: u32,
}

impl TenantLogins {
    /// Whether no further login of the tenant may be tried in the job.
    pub(crate) const fn pull_brake(self) -> bool {
        self.refused >= REFUSED
            && self.sites >= SITES
            && self.refused.saturating_mul(ONE_IN) > self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_needs_five_refusals_two_sites_and_a_fifth() {
        let pulled = |asked, refused, sites| {
            TenantLogins {
                asked,
                refused,
                sites,
            }
            .pull_brake()
        };
        assert!(pulled(5, 5, 2) && pulled(5, 5, 5) && pulled(24, 5, 2));
        assert!(!pulled(4, 4, 4), "too few refusals");
        assert!(!pulled(50, 50, 1), "one site brakes by itself");
        assert!(!pulled(25, 5, 5) && pulled(25, 6, 5), "more than a fifth");
        assert!(!pulled(0, 0, 0));
    }
}
