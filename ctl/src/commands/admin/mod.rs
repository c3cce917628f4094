//! `tvtctl admin`: a fleet's keys, accounts, tenants, operators and the joining of agents.

mod agent;
mod backup;
mod command;
mod init;
mod operator;
mod place;
mod push;
mod site;
mod tenant;

pub(crate) use command::Command;
