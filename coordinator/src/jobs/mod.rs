//! Jobs: which devices one is for, what each site is told, and how far it is. Pure.

pub(crate) mod brake;
pub(crate) mod canary;
pub(crate) mod fanout;
pub(crate) mod pace;
pub(crate) mod select;
pub(crate) mod tracker;
