//! Host tool of sel4-llm: inspect, tokenize, generate, quantize, pack
