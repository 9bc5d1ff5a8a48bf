mod adapters;
mod credit;
mod harness;
mod loads;
mod requests;
