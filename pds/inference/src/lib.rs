//! The inference component of sel4-llm: serves requests from its ring with an LlmBackend
