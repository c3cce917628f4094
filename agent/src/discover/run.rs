//! Running a discovery: what to use is settled first, then the driver does it.

mod driver;
mod ears;
mod greeter;
mod library;
mod setup;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tvtfleet_proto::model::discovery::{DiscoverOptions, DiscoverReport};

use super::event::{DiscoverContext, DiscoverError, DiscoverEvent};
use driver::Driver;
use setup::Setup;

/// Looks for devices as `options` say, within `context`.
///
/// It ends by itself; cancelled, or when nobody listens to `events` any more, it ends at once with
/// what was found so far and a cursor to go on from.
///
/// # Errors
///
/// Options that make no sense, that policy refuses or that want a yes; no interface, or no socket,
/// where nothing is left to be done without.
pub async fn run(
    options: DiscoverOptions,
    context: DiscoverContext,
    events: mpsc::Sender<DiscoverEvent>,
    cancel: CancellationToken,
) -> Result<DiscoverReport, DiscoverError> {
    let setup = Setup::new(options, &context)?;
    Driver::new(setup, context, events).run(&cancel).await
}
