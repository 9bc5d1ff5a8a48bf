//! What the fuzz of the whole monitor has found about several clients.

use super::harness::*;

#[test]
fn a_client_that_the_policy_does_not_know_is_told_that_it_is_nobody() {
    let mut system = System::serving();
    let told = system.told_to_other();
    assert_eq!(told.last(), Some(&Told::Ready("".into())), "{told:?}");
}
