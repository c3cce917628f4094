//! What the site's owner allows. The file on the box has the last word, whatever a job asks for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::Target;

use crate::quiet::{QuietHours, quiet_until};

/// To which devices a kind of login is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// To none.
    Never,
    /// To devices that an operator put into the inventory.
    #[default]
    Trusted,
    /// To every device, also to one that merely answered a sweep.
    Always,
}

impl Consent {
    /// Whether the consent covers a device.
    #[must_use]
    pub const fn covers(self, trusted: bool) -> bool {
        match self {
            Self::Never => false,
            Self::Trusted => trusted,
            Self::Always => true,
        }
    }
}

/// Probes per second that a discovery may send where the owner says nothing: what the connection
/// table of a small gateway stands.
pub const RATE_MAX: u32 = 500;

/// The rules of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The networks whose devices may be touched; empty is every network.
    pub networks: Vec<IpNet>,
    /// The networks whose devices may not be touched, whatever [`Self::networks`] says.
    pub excludes: Vec<IpNet>,
    /// The most probes per second of a discovery.
    pub rate_max: u32,
    /// What may be asked of devices.
    pub asks: BTreeSet<Ask>,
    /// When no work is begun.
    pub quiet_hours: Vec<QuietHours>,
    /// To whom a credential may be sent at all, in whatever form.
    pub login: Consent,
    /// To whom a password may be sent in clear.
    pub plaintext_login: Consent,
    /// To whom a password may be sent under a key that is sent in clear: as good as in clear.
    pub xor_login: Consent,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            excludes: Vec::new(),
            rate_max: RATE_MAX,
            asks: Ask::ALL
                .iter()
                .copied()
                .filter(|ask| !ask.changes_device())
                .collect(),
            quiet_hours: Vec::new(),
            login: Consent::default(),
            plaintext_login: Consent::default(),
            xor_login: Consent::default(),
        }
    }
}

impl Policy {
    /// Checks a question to a device before anything is opened.
    ///
    /// # Errors
    ///
    /// `device.policy_refused`.
    pub fn check_ask(&self, ask: Ask, target: &Target) -> Result<(), Failure> {
        if !self.asks.contains(&ask) {
            return refuse(format!(
                "this site's policy does not allow to {ask} devices"
            ));
        }
        if ask.needs_login() && !self.login.covers(target.trusted) {
            return refuse("this site's policy does not allow to send a credential to this device");
        }
        Ok(())
    }

    /// Checks a discovery before anything is opened.
    ///
    /// # Errors
    ///
    /// `device.policy_refused`.
    pub fn check_discover(&self) -> Result<(), Failure> {
        if self.asks.contains(&Ask::Discover) {
            Ok(())
        } else {
            refuse("this site's policy does not allow to discover devices")
        }
    }

    /// Checks whether work may begin now. What was begun before is finished, so this is asked once for
    /// each device, and once for a discovery.
    ///
    /// # Errors
    ///
    /// `policy.quiet_hours`; the text says until when.
    pub fn check_hours(&self, ask: Ask, now: UtcMillis) -> Result<(), Failure> {
        match quiet_until(&self.quiet_hours, ask, now) {
            None => Ok(()),
            Some(until) => {
                let text = format!(
                    "not begun: the site has quiet hours until {until}; ask again after that"
                );
                Err(Failure::new(ErrorCode::PolicyQuietHours, text))
            }
        }
    }

    /// Checks an address that a device's name was resolved to.
    ///
    /// # Errors
    ///
    /// `device.policy_refused`, also for addresses that are no single host's.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Failure> {
        // An IPv4 address in IPv6 clothes must not slip through.
        let address = address.to_canonical();
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if address.is_multicast() || address.is_unspecified() || broadcast {
            return refuse(format!("{address} is not the address of one host"));
        }
        if self.excludes.iter().any(|net| net.contains(&address)) {
            return refuse(format!(
                "this site's policy does not allow to touch {address}"
            ));
        }
        if self.networks.is_empty() || self.networks.iter().any(|net| net.contains(&address)) {
            Ok(())
        } else {
            refuse(format!(
                "this site's policy does not allow to touch {address}"
            ))
        }
    }
}

fn refuse(text: impl Into<String>) -> Result<(), Failure> {
    Err(Failure::new(ErrorCode::PolicyRefused, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::id::TargetNo;

    fn target(trusted: bool) -> Target {
        Target {
            number: TargetNo(0),
            endpoint: "10.0.0.1:6036".parse().unwrap(),
            known_mac: None,
            trusted,
            credential: None,
            settings: Default::default(),
        }
    }

    #[test]
    fn credentials_go_to_trusted_devices_only() {
        let policy = Policy::default();
        assert!(policy.check_ask(Ask::Scan, &target(true)).is_ok());
        let refused = policy.check_ask(Ask::Scan, &target(false)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::PolicyRefused);
        assert!(policy.check_ask(Ask::Probe, &target(false)).is_ok());
        let never = Policy {
            login: Consent::Never,
            ..Policy::default()
        };
        assert!(never.check_ask(Ask::Scan, &target(true)).is_err());
        let probe_only = Policy {
            asks: [Ask::Probe].into(),
            ..Policy::default()
        };
        assert!(probe_only.check_ask(Ask::Scan, &target(true)).is_err());
    }

    #[test]
    fn addresses_outside_the_networks_are_refused() {
        let open = Policy::default();
        let closed = Policy {
            networks: vec![
                "10.0.0.0/8".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ],
            ..Policy::default()
        };
        for (address, in_open, in_closed) in [
            ("10.1.2.3", true, true),
            ("::ffff:10.1.2.3", true, true),
            ("2001:db8::1", true, true),
            ("192.168.1.1", true, false),
            ("::ffff:192.168.1.1", true, false),
            ("255.255.255.255", false, false),
            ("0.0.0.0", false, false),
            ("239.255.255.250", false, false),
            ("ff02::1", false, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(open.check_address(address).is_ok(), in_open, "{address}");
            assert_eq!(
                closed.check_address(address).is_ok(),
                in_closed,
                "{address}"
            );
        }
    }
}
