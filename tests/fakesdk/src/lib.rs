//! A double of the vendor's `libdvrnetsdk.so`: the same C functions with invented devices, and every
//! fault that a caller must survive.
//!
//! No network is used. What a device says is a function of its address, so that tests know it. Faults
//! are chosen by variables (see [`faults`]), from the environment or from a file beside the library.
//!
//! The double keeps to the contract of the header and is stricter than any library: a call from two
//! threads at once, before `NET_SDK_Init`, or for a session that does not exist is written down as a
//! violation. It models version 1.2.1.036; `FAKE_NETSDK_VERSION` chooses 028 or 132.

#![allow(
    unsafe_code,
    reason = "the functions have the C interface of the library they stand for"
)]
#![allow(
    non_snake_case,
    reason = "the functions have the names of the library they stand for"
)]

mod asks;
mod calls;
mod data;
pub mod faults;
mod others;
pub mod place;
mod reach;
mod records;
mod state;
mod still;

pub use asks::*;
pub use calls::*;
pub use data::picture;
pub use others::*;
pub use reach::*;
pub use still::*;
