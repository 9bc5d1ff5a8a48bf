//! The shell at a console, with an audit that the tests play.

mod adapters;
mod answers;
mod chats;
mod console;
mod editing;
mod epochs;
mod harness;
mod hostile;
mod interrupts;
mod jobs;
mod logins;
mod readings;
mod refusals;
mod requests;
