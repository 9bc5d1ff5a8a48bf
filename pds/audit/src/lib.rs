//! The audit component of sel4-llm: reference monitor between shell and inference
