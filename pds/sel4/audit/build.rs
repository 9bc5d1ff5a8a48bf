//! Wires the domain as system.xml says.

fn main() {
    wiring::domain("audit");
}
