//! Files in the repository that are generated from its sources. A test of each checks that it is current.

use crate::error::Result;
use crate::shop::Shop;

/// The tables of messages in docs/protocol.md, from the declarations in protocol/src/wire.
pub fn protocol_docs(shop: &Shop) -> Result {
    shop.cargo("test")
        .args([
            "-p",
            "sel4-llm-protocol",
            "--lib",
            "the_tables_in_the_documentation",
        ])
        .env("WRITE_DOCS", "1")
        .done()
}

/// The header of the client in C.
pub fn client_header(shop: &Shop) -> Result {
    shop.cargo("test")
        .args(["-p", "sel4-llm-client-c", "--test", "header"])
        .env("WRITE_HEADER", "1")
        .done()
}
