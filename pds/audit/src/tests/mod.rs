//! Audit between a shell and an inference that the tests play.

mod clients;
mod harness;
mod hostile;
mod models;
mod recovery;
mod requests;
mod sessions;
mod shares;
mod slow_console;
mod users;
