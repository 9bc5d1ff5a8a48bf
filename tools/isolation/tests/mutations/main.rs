//! The mutation test of the checker. Each change of the description or of an image's capabilities that breaks a claim
//! is caught, with a message that names what was changed. Changes that break no claim pass.
//!
//! Descriptions are changed as text: the system's own `system.xml`, and the one with two clients that `two_clients`
//! makes from it. Images are changed as data, so the tests need no SDK. The Microkit tool has made them (`make
//! isolation-fixture`): `fixtures/capdl.json` from `fixtures/system.xml`, `fixtures/two-clients.json` from a
//! description with two clients, and `fixtures/cores.json` from `fixtures/cores.xml`, which is
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

/// The least numbers of harmful and of harmless changes. With fewer, some have been lost.
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
