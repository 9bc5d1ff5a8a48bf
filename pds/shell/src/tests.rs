//! The shell at a console, with an audit that the tests play.

mod editing;
mod harness;
mod hostile;
mod jobs;
mod requests;
