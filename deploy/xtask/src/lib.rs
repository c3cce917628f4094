//! What the developer commands and the test harness share.

pub mod nats_server;
pub mod pytvt;
