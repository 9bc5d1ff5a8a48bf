//! Implements the Makefile's verbs: `xtask VERB`, with the variables of make's command line in the environment.
//!
//! Images, stores and policies are values here ([`image::Image`], [`store::Store`], [`policy::Policy`]), derived from
//! the system ([`system::System`]) and the platform ([`sdk::Platform`]). All options are read and checked before
//! anything is built ([`options::Options`]).

#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    reason = "a program: its own parts use these names, nobody else"
)]

mod checks;
mod clients;
mod command;
mod config;
mod cores;
mod error;
mod files;
mod generated;
mod hostile;
mod image;
mod isolation;
mod lane;
mod options;
mod policy;
mod running;
mod sanitize;
mod sdk;
mod shop;
mod simulation;
mod speed;
mod store;
mod suites;
mod system;
mod training;

use crate::error::{Error, Result};
use crate::options::{Options, environment, number};
use crate::shop::Shop;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(verb), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: xtask VERB; `make help` lists the verbs");
        return ExitCode::from(2);
    };
    match start(&verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(verb: &str) -> Result {
    // Not the folder that this program was built in: a copy of the project has the program of the original.
    if !Path::new("tools/xtask/Cargo.toml").exists() {
        let text =
            "the current folder is not that of the project; run `make`, which is started there";
        return Err(Error::Wrong(text.to_owned()));
    }
    let options = Options::read(&environment)?;
    run_verb(verb, &Shop::new(), &options)
}

/// Runs a verb of the Makefile.
fn run_verb(verb: &str, shop: &Shop, options: &Options) -> Result {
    match verb {
        "run" => running::run_it(shop, options),
        "sim" => running::sim(shop, options, &[]),
        "qemu" => running::qemu(shop, options),
        "image" => running::image(shop, options),
        "store" => running::store(shop, options),
        "policy" => running::policy(shop, options),
        "sim-build" => running::sim_build(shop, options),
        "description" => running::description(shop, options),
        "llmtool" => shop.build(&["llmtool"]),
        "tools" => tools(shop),
        "docker-run" => running::docker_run(),
        "clean" => running::clean(),

        "example" => running::example(shop, options),
        "example-sim" => running::example_sim(shop, options),
        "example-image" => running::example_image(shop, options),
        "example-test" => suites::example_test(shop, options),
        "example-test-sel4" => suites::example_test_sel4(shop, options, &options.system),
        "client-c" => client_c(shop, options),
        "client-c-host" => clients::library_for_host(shop).map(drop),
        "client-c-header" => generated::client_header(shop),
        "sim-c" => clients::microkit_of_simulation(shop),

        "isolation" => isolation::isolation(shop, options),
        "capdl" => isolation::capabilities(shop, options),
        "isolation-disk" => lane::of_disk("isolation", options, |options| {
            isolation::isolation(shop, options)
        }),
        "isolation-description" => isolation::descriptions(shop, options),
        "isolation-docs" => isolation::docs(shop),
        "isolation-fixture" => isolation::fixture(shop, options),
        "protocol-docs" => generated::protocol_docs(shop),
        "proofs" => checks::proofs(),
        "panic-check" => lane::panic_check(shop, options),
        "panic-check-disk" => lane::of_disk("panic-check", options, |options| {
            lane::panic_check(shop, options)
        }),

        "test" => lane::test(options),
        "lane" => lane::lane(options),
        "lint" => checks::lint(shop),
        "lint-sel4" => lane::lint_sel4(shop, options),
        "deny" => checks::deny(),
        "machete" => checks::machete(),
        "doc" => checks::doc(shop),
        "unit" => checks::unit(shop),
        "unit-aarch64" => checks::unit_aarch64(shop),
        "test-train" => training::test(),
        "loom" => checks::loom(shop),
        "sanitize" => sanitize::sanitize(shop),
        "coverage" => checks::coverage(shop),
        "monitor-fuzz" => checks::monitor_fuzz(shop),
        "fuzz" => checks::fuzz(shop),
        "fuzz-planted" => checks::fuzz_planted(),

        "e2e-sim" => suites::e2e_sim(shop, options),
        "e2e-qemu" => suites::e2e_qemu(shop, options),
        "e2e-disk" => suites::e2e_disk(shop, options),
        "e2e-disk-sim" => suites::e2e_disk_sim(shop, options),
        "e2e-disk-qemu" => suites::e2e_disk_qemu(shop, options),
        "e2e-cores-sim" => cores::e2e_sim(shop, options),
        "test-sel4" => suites::test_sel4(shop, options),
        "test-cores-sel4" => suites::test_cores_sel4(shop, options),
        "test-sel4-fails" => suites::test_sel4_fails(shop, options),
        "test-disk-sel4" => suites::test_disk_sel4(shop, options),
        "same-bits" => lane::same_bits(shop, options),
        "same-texts" => lane::same_texts(shop, options),
        "soak" => suites::soak(shop, options, number("SOAK_REQUESTS", 10_000)?),
        "storm" => suites::storm(shop, options, number("STORM_FAULTS", 200)?),
        "storm-cores" => cores::storm(shop, options, number("STORM_FAULTS", 200)?),
        "storm-cores-sim" => cores::storm_sim(shop, options, number("STORM_FAULTS", 200)?),
        "storm-sim" => suites::storm_sim(shop, options, number("STORM_FAULTS", 200)?),

        "redteam" => hostile::redteam(shop, options),
        "redteam-sim" => hostile::redteam_sim(shop, options),
        "redteam-qemu" => hostile::redteam_qemu(shop, options),
        "redteam-files-qemu" => hostile::redteam_files_qemu(shop, options),
        "redteam-cores-sim" => hostile::redteam_cores_sim(shop, options),
        "redteam-mutations" => hostile::redteam_mutations(shop, options),
        "redteam-docs" => hostile::redteam_docs(shop),
        "partitions" => hostile::partitions(shop, options),

        "bench" => speed::bench(shop),
        "bench-peers" => speed::bench_peers(shop),
        "bench-neon" => speed::bench_neon(shop),
        "bench-riscv" => speed::bench_riscv(shop),
        "bench-plot" => speed::bench_plot(shop),
        "bench-qemu" => speed::bench_qemu(shop, options),
        "bench-boards" => speed::bench_boards(shop, options),
        "bench-ahead" => speed::bench_ahead(shop, options),
        "bench-load" => speed::bench_load(shop, options),
        "train" => training::train(shop),
        _ => Err(Error::Wrong(format!(
            "there is no verb '{verb}': `make help` lists them"
        ))),
    }
}

/// Builds the host tool, and prints its path.
fn tools(shop: &Shop) -> Result {
    shop.build(&["llmtool"])?;
    println!("{}", shop.program("llmtool").display());
    Ok(())
}

/// The header and the libraries for clients in C.
fn client_c(shop: &Shop, options: &Options) -> Result {
    clients::library_for_host(shop)?;
    clients::library_for_sel4(shop, options.board.arch).map(drop)
}

/// The root of the repository that the tests are built in.
#[cfg(test)]
fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::root;

    /// The verbs of the Makefile that are implemented here.
    fn verbs() -> Vec<String> {
        let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
        let targets = makefile
            .lines()
            .filter_map(|line| line.split_once(": ; $(DO)"));
        targets.map(|(verb, _)| verb.to_owned()).collect()
    }

    #[test]
    fn the_makefile_has_the_verbs_that_are_known_here_and_no_others() {
        let source = include_str!("main.rs");
        let source = source.split_once("#[cfg(test)]").unwrap().0;
        let known = source.lines().filter_map(|line| {
            let (verb, _) = line.trim_start().strip_prefix('"')?.split_once("\" => ")?;
            Some(verb.to_owned())
        });
        let mut known: Vec<_> = known.collect();
        let mut verbs = verbs();
        known.sort_unstable();
        verbs.sort_unstable();
        assert!(verbs.len() > 40, "{verbs:?}");
        assert_eq!(verbs, known);
    }
}
