//! The domain types of tvtfleet. A value of these types is already correct: parsing happens at the
//! border, in the constructors here and in [`crate::convert`].

pub mod address;
pub mod agent;
pub mod answer;
pub mod api;
pub mod ask;
pub mod audit;
pub mod backend;
pub mod change;
pub mod channel;
pub mod checkup;
pub mod discovery;
pub mod id;
pub mod identity;
pub mod inventory;
pub mod job;
pub mod mac;
pub mod order;
pub mod picture;
pub mod push;
pub mod query;
pub mod replica;
pub mod report;
pub mod secret;
pub mod signed;
pub mod time;
pub mod want;
