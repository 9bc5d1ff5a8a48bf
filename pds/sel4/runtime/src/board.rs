//! What the board has in place of numbers and names in the domains: made by `build.rs` of the board's file.

#[cfg(counter)]
#[allow(unused_imports, reason = "not every timer's driver reads it")]
use crate::counter::Counter;
use crate::device::{Device, Width};

include!(concat!(env!("OUT_DIR"), "/board.rs"));
