//! A small fixed set of runs.

use monitor_fuzz::store::Fixtures;
use monitor_fuzz::{Plan, run};

#[test]
fn a_fixed_set_of_runs_breaks_no_claim() {
    let fixtures = Fixtures::new();
    for seed in 0..20 {
        let (_, result) = run(&fixtures, &Plan::new(seed, 500));
        if let Err(found) = result {
            panic!("step {} of seed {seed}: {}", found.step, found.broken);
        }
    }
}
