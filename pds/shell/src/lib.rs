//! The shell component of sel4-llm: console, commands, safe output
