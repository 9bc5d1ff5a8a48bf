//! Runs the fuzz for a time, for a number of seeds, or for a single seed.

use clap::Parser;
use monitor_fuzz::claims::Figures;
use monitor_fuzz::store::Fixtures;
use monitor_fuzz::{Plan, STEPS, run, shrink};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A model-based fuzz of the whole monitor.
#[derive(Parser)]
struct Arguments {
    /// Number of runs, with consecutive seeds; without it, runs until the time is over
    #[arg(long)]
    seeds: Option<u64>,
    /// Time limit in seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Steps of each run
    #[arg(long, default_value_t = STEPS)]
    steps: u64,
    /// Only run this seed
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Report failures as they are, without looking for a shorter run
    #[arg(long)]
    whole: bool,
    /// Number of trace lines to show
    #[arg(long, default_value_t = 120)]
    lines: usize,
}

/// Number of runs in which everything that the fuzz counts should happen at least once.
const ENOUGH_RUNS: u64 = 200;

fn show(figures: &Figures, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let rate = figures.steps as f64 / seconds.max(0.001);
    println!("{figures:#?}");
    println!("{seconds:.1} s, {rate:.0} steps a second");
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let fixtures = Fixtures::new();
    let began = Instant::now();
    let mut figures = Figures::default();
    let (first, seeds) = match arguments.seed {
        Some(seed) => (seed, Some(1)),
        None => (arguments.first, arguments.seeds),
    };
    let limit = arguments.seconds.map(Duration::from_secs);
    let end = seeds.map_or(u64::MAX, |seeds| first.saturating_add(seeds));
    for seed in first..end {
        if limit.is_some_and(|limit| began.elapsed() >= limit) {
            break;
        }
        let plan = Plan::new(seed, arguments.steps);
        let (of_run, result) = run(&fixtures, &plan);
        figures.add(&of_run);
        let Err(found) = result else {
            continue;
        };
        println!(
            "BROKEN in step {} of seed {seed}: {}",
            found.step, found.broken
        );
        let mut plan = match arguments.whole {
            true => plan,
            false => shrink(&fixtures, &plan, &found),
        };
        plan.trace = true;
        let (_, again) = run(&fixtures, &plan);
        if let Err(again) = again {
            let shown = again.trace.len().saturating_sub(arguments.lines);
            println!("{}", again.trace[..1.min(shown)].join("\n"));
            println!("{}", again.trace[shown..].join("\n"));
            println!(
                "{} steps: {}",
                plan.steps - plan.without.len() as u64,
                again.broken
            );
        }
        println!(
            "again: cargo run --release -p sel4-llm-monitor-fuzz -- --seed {seed} --steps {}",
            arguments.steps
        );
        println!(
            "found after {} steps in {} runs",
            figures.steps, figures.runs
        );
        show(&figures, began);
        return ExitCode::FAILURE;
    }
    show(&figures, began);
    let never = figures.never();
    if figures.runs >= ENOUGH_RUNS && !never.is_empty() {
        println!(
            "In {} runs these never happened, so nothing about them was tested: {}. Find out why.",
            figures.runs,
            never.join(", ")
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
