//! The inventory as it was known at an earlier moment.
//!
//! Facts and channels come from the states of the devices. Where a device stood and whether it
//! answered come from the changes: the first one after the moment says what was before it, and
//! where there is none, it is as it is now.

use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::api::DeviceView;
use tvtfleet_proto::model::inventory::DEFAULT_PORT;
use tvtfleet_proto::model::time::UtcMillis;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{code, count};
use super::error::DbError;
use super::report::{load_state, read_channels};

/// The address at the moment `{at}`, as SQL over `devices d`: empty where it stood nowhere.
pub(super) fn address_at(at: &str) -> String {
    let before = before_next(at, "'moved', 'displaced', 'forgotten'");
    format!("coalesce({before}, d.address, '')")
}

/// More columns that [`rewind`] needs.
pub(super) fn columns_at(at: &str) -> String {
    let failure = before_next(at, "'unreachable', 'reachable', 'fails_differently'");
    format!(
        "{} AS address_at, coalesce({failure}, d.last_failure) AS failure_at,
         (SELECT b.id FROM device_states b WHERE b.device = d.id AND b.valid_from <= {at}
            AND (b.valid_to IS NULL OR b.valid_to > {at})
          ORDER BY b.valid_from DESC, b.id DESC LIMIT 1) AS state_at",
        address_at(at)
    )
}

fn before_next(at: &str, kinds: &str) -> String {
    format!(
        "(SELECT c.old FROM changes c WHERE c.device = d.id AND c.at > {at} AND c.kind IN ({kinds})
          ORDER BY c.at, c.id LIMIT 1)"
    )
}

/// Turns a device as it is now into what was known of it at a moment. `row` has [`columns_at`].
///
/// Labels, notes and what the operator wrote into the inventory are those of now.
pub(super) fn rewind(
    db: &Connection,
    row: &Row<'_>,
    mut view: DeviceView,
    at: UtcMillis,
    with_channels: bool,
) -> Result<DeviceView, DbError> {
    let address: String = row.get("address_at")?;
    if let Ok(endpoint) = address.parse::<Endpoint>()
        && endpoint != view.entry.endpoint(DEFAULT_PORT)
    {
        view.entry.port = Some(endpoint.port);
        view.entry.host = endpoint.host;
    }
    let state: Option<i64> = row.get("state_at")?;
    let failure: String = row.get("failure_at")?;
    let reported = view.last_report.filter(|last| *last <= at);
    let (seen, channels) = match state {
        Some(state) => {
            let from: Option<i64> = db
                .prepare_cached("SELECT valid_from FROM device_states WHERE id = ?1")?
                .query_row(params![state], |row| row.get(0))
                .optional()?;
            let body = load_state(db, state)?;
            let facts = body.facts.unwrap_or_default().try_into();
            view.facts = facts.map_err(|error| DbError::damaged("device facts", error))?;
            (
                from.map(UtcMillis::new),
                Some(read_channels(body.channels)?),
            )
        }
        None => {
            view.facts = tvtfleet_proto::model::report::DeviceFacts::default();
            (None, None)
        }
    };
    view.channel_count = channels
        .as_ref()
        .map(|channels| count(i64::try_from(channels.len()).unwrap_or(i64::MAX)));
    view.channels = channels.filter(|_| with_channels).unwrap_or_default();
    view.last_success = view.last_success.filter(|last| *last <= at).or(seen);
    view.last_report = reported.max(view.last_success);
    view.last_failure = code(&failure).filter(|_| reported.is_some() || state.is_some());
    Ok(view)
}
