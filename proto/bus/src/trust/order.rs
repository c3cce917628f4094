//! An operator's order to one site to change devices, and the list of the operators whose orders count
//! there.
//!
//! An order is for one job at one site and covers the exact work: the ask, what it sets, how, and each
//! device. It is good until the job ends. The list is the authority's, one for each tenant, and its
//! revision only grows.

use prost::Message as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tvtfleet_proto::model::id::{JobId, SiteId, TenantId};
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::SiteWork;
use tvtfleet_proto::wire::v1;

use super::signed::{SignedDocument, Statement};
use super::token::{TrustError, hex};

/// The most operators of a list: each of them may have to be tried.
pub const OPERATORS_MAX: usize = 1000;
/// How far an operator's clock may be ahead of the reader's, in milliseconds: five minutes.
pub(super) const AHEAD_MAX_MS: i64 = 5 * 60 * 1000;

/// An order of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeOrder {
    /// The job, a UUID: what makes the order good once.
    pub job: String,
    /// The tenant.
    pub tenant: String,
    /// The site.
    pub site: String,
    /// What is asked of the devices. The digest covers it too; here it can be read.
    pub ask: String,
    /// How many devices it is for. The digest covers them too.
    pub devices: u32,
    /// SHA-256 over the protobuf encoding of the site's work, as lower-case digits.
    pub work: String,
    /// When it was signed, in milliseconds since 1970.
    pub issued_at: i64,
    /// Until when it is good, in milliseconds since 1970.
    pub not_after: i64,
}

impl Statement for ChangeOrder {
    const KIND: &'static str = "change order v1";
}

/// Why an order does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderFault {
    /// Nobody whose orders count has signed it.
    #[error("no operator whose orders count here has signed it")]
    Signer,
    /// It is for another job or site.
    #[error("the order is for another job or site")]
    Elsewhere,
    /// Its time is over, or shorter than the job's.
    #[error("the order is not good any more")]
    Expired,
    /// It is from the future.
    #[error(
        "the order was signed in the future: the clock of this box, or the operator's, is wrong"
    )]
    Early,
    /// The work is not the work that was signed.
    #[error("the work is not what was signed")]
    Content,
}

impl ChangeOrder {
    /// The order to do `work` for `job` at `site`.
    #[must_use]
    pub fn of(
        job: JobId,
        site: &SiteId,
        work: &SiteWork,
        issued_at: UtcMillis,
        not_after: UtcMillis,
    ) -> Self {
        Self {
            job: job.to_string(),
            tenant: site.tenant.to_string(),
            site: site.site.to_string(),
            ask: work.options.ask.to_string(),
            devices: u32::try_from(work.targets.len()).unwrap_or(u32::MAX),
            work: work_digest(work),
            issued_at: issued_at.millis(),
            not_after: not_after.millis(),
        }
    }

    /// Checks that it is for this job and site, and good from now until the job ends.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(
        &self,
        job: JobId,
        site: &SiteId,
        not_after: UtcMillis,
        now: UtcMillis,
    ) -> Result<(), OrderFault> {
        if self.job != job.to_string()
            || self.tenant != site.tenant.as_str()
            || self.site != site.site.as_str()
        {
            return Err(OrderFault::Elsewhere);
        }
        if self.not_after < not_after.millis() || self.not_after <= now.millis() {
            return Err(OrderFault::Expired);
        }
        if self.issued_at > now.millis().saturating_add(AHEAD_MAX_MS) {
            return Err(OrderFault::Early);
        }
        Ok(())
    }

    /// Checks that it covers exactly this work.
    ///
    /// # Errors
    ///
    /// [`OrderFault::Content`].
    pub fn check_work(&self, work: &SiteWork) -> Result<(), OrderFault> {
        if self.work == work_digest(work) {
            Ok(())
        } else {
            Err(OrderFault::Content)
        }
    }
}

/// SHA-256 over the protobuf encoding of a site's work, as lower-case digits. Whoever reads a message
/// of a newer version misses a part of it, and gets another digest.
fn work_digest(work: &SiteWork) -> String {
    let bytes = v1::SiteWork::from(work.clone()).encode_to_vec();
    hex(&Sha256::digest(bytes))
}

/// Whose orders count at the sites of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorList {
    /// Grows with each change; an older one never replaces a newer one.
    pub revision: u64,
    /// The tenant.
    pub tenant: String,
    /// When it was signed, in milliseconds since 1970.
    pub issued_at: i64,
    /// The public keys of the operators and admins.
    pub keys: Vec<String>,
}

impl Statement for OperatorList {
    const KIND: &'static str = "operators v1";
}

impl OperatorList {
    /// Reads a list, if the authority signed it for this tenant.
    ///
    /// # Errors
    ///
    /// `trust.refused`, `trust.invalid`.
    pub fn read(
        document: &SignedDocument,
        authority: &str,
        tenant: &TenantId,
    ) -> Result<Self, TrustError> {
        const WHAT: &str = "the list of operators";
        let list: Self = document.verify(authority)?;
        if list.tenant != tenant.as_str() {
            return Err(TrustError::Signature { what: WHAT });
        }
        if list.keys.len() > OPERATORS_MAX {
            return Err(TrustError::malformed(WHAT, "too long"));
        }
        Ok(list)
    }

    /// Reads an order, if one of these operators signed it.
    ///
    /// # Errors
    ///
    /// [`OrderFault::Signer`].
    pub fn order(&self, document: &SignedDocument) -> Result<ChangeOrder, OrderFault> {
        let mut keys = self.keys.iter();
        keys.find_map(|key| document.verify(key).ok())
            .ok_or(OrderFault::Signer)
    }
}

impl From<SignedStatement> for SignedDocument {
    fn from(signed: SignedStatement) -> Self {
        v1::SignedDocument::from(signed).into()
    }
}

impl From<SignedDocument> for SignedStatement {
    fn from(document: SignedDocument) -> Self {
        v1::SignedDocument::from(document).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nkeys::KeyPair;
    use tvtfleet_proto::model::ask::Ask;
    use tvtfleet_proto::model::id::TargetNo;
    use tvtfleet_proto::model::job::WorkOptions;
    use tvtfleet_proto::model::order::Order;
    use tvtfleet_proto::model::want::Target;

    fn id(last: u8) -> JobId {
        format!("00000000-0000-0000-0000-00000000000{last}")
            .parse()
            .unwrap()
    }

    fn work() -> SiteWork {
        let target = Target {
            number: TargetNo(0),
            endpoint: "10.0.0.5:6036".parse().unwrap(),
            known_mac: None,
            trusted: true,
            credential: None,
            settings: Default::default(),
        };
        SiteWork {
            options: WorkOptions {
                ask: Ask::SetServices,
                order: Some(Box::new(Order {
                    settings: [("rtsp".to_owned(), "0".to_owned())].into(),
                    ..Order::default()
                })),
                ..WorkOptions::default()
            },
            targets: vec![target],
        }
    }

    #[test]
    fn an_order_covers_all_of_the_work_and_nothing_else() {
        let job = id(7);
        let site = "acme/depot".parse().unwrap();
        let (now, end) = (UtcMillis::new(1_000), UtcMillis::new(90_000));
        let order = ChangeOrder::of(job, &site, &work(), now, end);
        order.check(job, &site, end, now).unwrap();
        order.check_work(&work()).unwrap();
        let edits: [fn(&mut SiteWork); 7] = [
            |work| work.targets[0].endpoint = "10.0.0.6:6036".parse().unwrap(),
            |work| work.targets.push(work.targets[0].clone()),
            |work| work.targets[0].credential = Some("night".parse().unwrap()),
            |work| drop(work.targets[0].settings.insert("rtsp".into(), "1".into())),
            |work| work.options.ask = Ask::Reboot,
            |work| work.options.order.as_mut().unwrap().wave += 1,
            |work| {
                let order = work.options.order.as_mut().unwrap();
                order.settings.insert("rtsp".into(), "1".into());
            },
        ];
        for edit in edits {
            let mut other = work();
            edit(&mut other);
            assert_eq!(order.check_work(&other), Err(OrderFault::Content));
        }
        let other = id(8);
        let fault = |job, site: &str, end, now| order.check(job, &site.parse().unwrap(), end, now);
        assert_eq!(
            fault(other, "acme/depot", end, now),
            Err(OrderFault::Elsewhere)
        );
        assert_eq!(
            fault(job, "acme/other", end, now),
            Err(OrderFault::Elsewhere)
        );
        assert_eq!(
            fault(job, "blue/depot", end, now),
            Err(OrderFault::Elsewhere)
        );
        let longer = UtcMillis::new(90_001);
        assert_eq!(
            fault(job, "acme/depot", longer, now),
            Err(OrderFault::Expired)
        );
        assert_eq!(fault(job, "acme/depot", end, end), Err(OrderFault::Expired));
        let day_before = UtcMillis::new(1_000 - 86_400_000);
        assert_eq!(
            fault(job, "acme/depot", end, day_before),
            Err(OrderFault::Early)
        );
    }

    #[test]
    fn only_operators_of_the_authoritys_list_give_orders() {
        let (authority, ann, bob) = (
            KeyPair::new_operator(),
            KeyPair::new_user(),
            KeyPair::new_user(),
        );
        let list = OperatorList {
            revision: 3,
            tenant: "acme".into(),
            issued_at: 0,
            keys: vec!["damaged".into(), ann.public_key()],
        };
        let signed = SignedDocument::sign(&list, &authority).unwrap();
        let acme = "acme".parse().unwrap();
        let read = OperatorList::read(&signed, &authority.public_key(), &acme).unwrap();
        assert_eq!(read, list);
        assert!(
            OperatorList::read(&signed, &authority.public_key(), &"b".parse().unwrap()).is_err()
        );
        assert!(OperatorList::read(&signed, &ann.public_key(), &acme).is_err());
        let job = id(7);
        let (now, end) = (UtcMillis::new(0), UtcMillis::new(9));
        let order = ChangeOrder::of(job, &"acme/depot".parse().unwrap(), &work(), now, end);
        let by = |key: &KeyPair| list.order(&SignedDocument::sign(&order, key).unwrap());
        assert_eq!(by(&ann).unwrap(), order);
        assert_eq!(by(&bob), Err(OrderFault::Signer));
        assert_eq!(by(&authority), Err(OrderFault::Signer));
    }
}
