//! The mutation test of the checker: each change of the description or of an image's capabilities that
//! breaks a claim is caught, by a message that names what was changed; changes that break none pass.
//!
//! Descriptions are the system's own `system.xml`, changed as text. Images are `fixtures/capdl.json`,
//! which the Microkit tool made of `fixtures/system.xml` (`make isolation-fixture`), changed as
//! data; so they need no SDK. The same there is of a system with two clients: `two_clients` makes the description of
//! `system.xml`, and `fixtures/two-clients.json` is its image. `fixtures/cores.json` is the image of `fixtures/cores.xml`, which is
//! `systems/cores/system.xml` with small regions.

mod clients;
mod clients_image;
mod cores;
mod cores_image;
mod description;
mod disk;
mod fewer;
mod harmless;
mod harness;
mod image;
mod pages;
mod partitions;
mod pins;
#[path = "../two_clients/mod.rs"]
mod two_clients;

use libtest_mimic::{Arguments, Trial};

/// Fewest harmful and harmless changes that this test is worth its name with.
const FEWEST: (usize, usize) = (417, 49);

fn main() {
    let mut harmful = description::trials();
    harmful.extend(pins::trials());
    harmful.extend(clients::harmful());
    harmful.extend(disk::harmful());
    harmful.extend(cores::harmful());
    harmful.extend(cores_image::harmful());
    harmful.extend(fewer::harmful());
    harmful.extend(partitions::harmful());
    harmful.extend(image::trials());
    harmful.extend(clients_image::trials());
    let mut harmless = harmless::trials();
    harmless.extend(clients::harmless());
    harmless.extend(disk::harmless());
    harmless.extend(cores::harmless());
    harmless.extend(cores_image::harmless());
    harmless.extend(fewer::harmless());
    harmless.extend(partitions::harmless());
    let counts = (harmful.len(), harmless.len());
    let mut trials = vec![
        Trial::test("the_unchanged_inputs_violate_nothing", harness::unchanged),
        Trial::test("there_are_enough_mutations", move || {
            let enough = counts.0 >= FEWEST.0 && counts.1 >= FEWEST.1;
            enough
                .then_some(())
                .ok_or_else(|| format!("{counts:?}, not {FEWEST:?}").into())
        }),
    ];
    trials.extend(harmful);
    trials.extend(harmless);
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
