mod adapters;
mod answers;
mod credit;
mod harness;
mod loads;
mod memory;
mod requests;
