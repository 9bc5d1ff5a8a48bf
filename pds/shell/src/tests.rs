//! The shell at a console, with an audit that the tests play.

mod editing;
mod harness;
mod hostile;
mod interrupts;
mod jobs;
mod requests;
