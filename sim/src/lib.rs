//! Linux runtime of sel4-llm: every protection domain of system.xml as a locked-down process
