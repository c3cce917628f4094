//! The database under duplicates, reordering, crashes, lost streams and hostile messages.

mod audit;
mod canary;
mod changes;
mod devices;
mod discovery;
mod fixture;
mod history;
mod jobs;
mod order;
mod paging;
mod pictures;
pub(super) mod query_fixture;
mod retention;
mod signing;
mod speed;
mod spools;
