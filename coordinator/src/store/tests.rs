//! The database under duplicates, reordering, crashes, lost streams and hostile messages.

mod devices;
mod fixture;
mod history;
mod jobs;
mod speed;
mod spools;
