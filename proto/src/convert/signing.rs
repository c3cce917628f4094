//! Signing jobs, of `api.proto`.

use crate::model::api::{SignJob, UnsignedWork};
use crate::model::id::JobId;
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::field::{BadField, parsed, required, uuid};

impl TryFrom<v1::SignJob> for SignJob {
    type Error = BadField;

    fn try_from(wire: v1::SignJob) -> Result<Self, BadField> {
        let orders = wire.orders.into_iter().map(|order| {
            let site = parsed("site", &order.site)?;
            Ok((site, required("order", order.order)?.into()))
        });
        Ok(Self {
            job: JobId::new(uuid("job", &wire.job)?),
            orders: orders.collect::<Result<_, BadField>>()?,
        })
    }
}

impl From<SignJob> for v1::SignJob {
    fn from(model: SignJob) -> Self {
        let orders = model.orders.into_iter();
        Self {
            job: model.job.uuid().as_bytes().to_vec(),
            orders: orders
                .map(|(site, order)| v1::SiteOrder {
                    site: site.to_string(),
                    order: Some(order.into()),
                })
                .collect(),
        }
    }
}

impl TryFrom<v1::UnsignedWork> for UnsignedWork {
    type Error = BadField;

    fn try_from(wire: v1::UnsignedWork) -> Result<Self, BadField> {
        let sites = wire.sites.into_iter().map(|site| {
            let name = parsed("site", &site.site)?;
            Ok((name, required("work", site.work)?.try_into()?))
        });
        Ok(Self {
            job: JobId::new(uuid("job", &wire.job)?),
            not_after: UtcMillis::new(wire.not_after_ms),
            sites: sites.collect::<Result<_, BadField>>()?,
        })
    }
}

impl From<UnsignedWork> for v1::UnsignedWork {
    fn from(model: UnsignedWork) -> Self {
        let sites = model.sites.into_iter();
        Self {
            job: model.job.uuid().as_bytes().to_vec(),
            not_after_ms: model.not_after.millis(),
            sites: sites
                .map(|(site, work)| v1::SiteUnsigned {
                    site: site.to_string(),
                    work: Some(work.into()),
                })
                .collect(),
        }
    }
}
