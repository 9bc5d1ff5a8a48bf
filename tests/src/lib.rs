//! End-to-end suite of sel4-llm, one suite for both runtimes
