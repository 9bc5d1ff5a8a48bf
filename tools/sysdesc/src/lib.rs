//! Reads a Microkit system description
