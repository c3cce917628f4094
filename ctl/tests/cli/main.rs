//! The command line, called as a function: what it prints and how it ends.

#![cfg(test)]

mod config;
mod decode;
mod diff;
mod errors;
mod fleet_words;
mod help;
mod local;
mod sandbox;
