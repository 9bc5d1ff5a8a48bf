//! Tests of audit, in which the test plays the shell and inference.

mod adapters;
mod clients;
mod credit;
mod deadlines;
mod disk;
mod formats;
mod harness;
mod hostile;
mod journal;
mod lists;
mod models;
mod peers;
mod recovery;
mod requests;
mod sessions;
mod shares;
mod slow_console;
mod tuning;
mod turns;
mod users;
