//! What channels time partitions close, and what they cost: `make partitions` measures both on seL4 in QEMU, on the
//! main system and on `systems/partitions` in turn, and prints two tables.
//!
//! The environment names the systems, as shell commands: `SEL4_LLM_REDTEAM_SHELL` and `SEL4_LLM_REDTEAM_PARTITIONS`
//! have a hostile inference server and a hostile shell, `SEL4_LLM_RUN` and `SEL4_LLM_RUN_PARTITIONS` are honest.
//! `SEL4_LLM_PARTITIONS_ROUNDS` is the number of rounds of each measurement.
//!
//! A channel's receiver knows what was sent, so it can count its errors (`redteam_attacks::scheduling`). This program
//! adds up the rounds and computes two capacities of a binary symmetric channel: with this error rate, and with the
//! rate at the lower end of its 95 % interval, which the measurement cannot rule out.

mod costs;
#[path = "../runner/system.rs"]
#[allow(dead_code, reason = "the red team's runner needs more of it")]
mod system;

use redteam_attacks::scheduling::WINDOW_US;
use std::process::ExitCode;
use std::time::Duration;
use system::System;

const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two keys, which wake the shell: some twenty in a window.
const PACE: Duration = Duration::from_millis(1);
/// Number of keys after which the receiver must have enough samples.
const MOST_KEYS: usize = 120_000;

/// A channel with its two ends.
struct Channel {
    name: &'static str,
    /// Inference's attack.
    inference: &'static str,
    /// The letter of the shell's attack.
    shell: char,
    /// The names of the receiver's results.
    results: &'static [&'static str],
    /// Whether keys must wake the shell; otherwise it spins.
    is_woken: bool,
    /// Whether it is also measured without partitions.
    in_main: bool,
}

const CHANNELS: [Channel; 3] = [
    Channel {
        name: "shell → inference: shell spends its time or yields it",
        inference: "schedule-receive",
        shell: 'x',
        results: &["windows", "turns"],
        is_woken: true,
        in_main: true,
    },
    Channel {
        name: "inference → shell: inference leaves work for audit, or none",
        inference: "schedule-send",
        shell: 'y',
        results: &["asked"],
        is_woken: true,
        in_main: true,
    },
    // Without partitions, a spinning shell keeps inference from running, so there is nothing to measure.
    Channel {
        name: "inference → shell: inference ends its turn with system calls, or lets it run out",
        inference: "schedule-send",
        shell: 'z',
        results: &["turns"],
        is_woken: false,
        in_main: false,
    },
];

const SYSTEMS: [(&str, &str); 2] = [
    ("main system", "SEL4_LLM_REDTEAM_SHELL"),
    ("time partitions", "SEL4_LLM_REDTEAM_PARTITIONS"),
];

/// A receiver's counts.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    tested: u64,
    wrong: u64,
    zero: u64,
    one: u64,
    rounds: u64,
}

impl Score {
    fn parse(text: &str, name: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(&format!("{name}: "))?;
        let (score, _) = rest.split_once(';')?;
        let number = |name: &str| {
            let (_, rest) = score.split_once(name)?;
            rest.split_whitespace().next()?.parse().ok()
        };
        Some(Self {
            tested: number("tested=")?,
            wrong: number("wrong=")?,
            zero: number("zero=")?,
            one: number("one=")?,
            rounds: 1,
        })
    }

    fn add(&mut self, other: Self) {
        self.tested += other.tested;
        self.wrong += other.wrong;
        self.zero += other.zero;
        self.one += other.one;
        self.rounds += other.rounds;
    }

    fn rate(&self) -> f64 {
        self.wrong as f64 / self.tested.max(1) as f64
    }

    /// The ends of Wilson's 95 % interval of the error rate.
    fn interval(&self) -> [f64; 2] {
        let (n, p, z) = (self.tested.max(1) as f64, self.rate(), 1.96_f64);
        let middle = p + z * z / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        [-half, half].map(|half| (middle + half) / (1.0 + z * z / n))
    }
}

/// Capacity of a binary symmetric channel with this error rate and one bit per window, in bits per second.
fn capacity(rate: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    (1.0 - term(rate) - term(1.0 - rate)) * 1e6 / WINDOW_US as f64
}

fn main() -> ExitCode {
    let rounds = std::env::var("SEL4_LLM_PARTITIONS_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(4_u32);
    let mut scores = Vec::new();
    for channel in &CHANNELS {
        for result in channel.results {
            scores.push((channel.name, *result, [Score::default(); 2]));
        }
    }
    for round in 1..=rounds {
        for (place, (name, variable)) in SYSTEMS.into_iter().enumerate() {
            if let Err(wrong) = measure(place, variable, &mut scores) {
                eprintln!("round {round} of {rounds}, {name}: {wrong}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "\n| channel | seen in | system | windows | errors | bit/s | bit/s not ruled out | mean of 0, of 1 |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for (name, result, by_system) in &scores {
        for ((system, _), score) in SYSTEMS.iter().zip(by_system) {
            if score.tested > 0 {
                row(name, result, system, score);
            }
        }
    }
    match costs::measure(rounds) {
        Ok(table) => println!("\n{table}"),
        Err(wrong) => {
            eprintln!("costs: {wrong}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn row(name: &str, result: &str, system: &str, score: &Score) {
    let [low, high] = score.interval();
    let is_seen = !(low..=high).contains(&0.5);
    let seen = if is_seen { capacity(score.rate()) } else { 0.0 };
    let Score {
        tested,
        zero,
        one,
        rounds,
        ..
    } = score;
    println!(
        "| {name} | {result} | {system} | {tested} | {:.1} % ({:.1} to {:.1}) | {seen:.2} | {:.2} | {}, {} µs |",
        100.0 * score.rate(),
        100.0 * low,
        100.0 * high,
        capacity(low.min(1.0 - high)),
        zero / rounds,
        one / rounds
    );
}

/// One round on one system.
fn measure(
    place: usize,
    variable: &str,
    scores: &mut [(&str, &str, [Score; 2])],
) -> Result<(), String> {
    let mut system = System::boot(variable);
    for channel in CHANNELS.iter().filter(|it| place > 0 || it.in_main) {
        let text = talk(&mut system, channel)?;
        for (name, result, by_system) in scores.iter_mut() {
            if *name == channel.name {
                let score = Score::parse(&text, result)
                    .ok_or_else(|| format!("{name}: no {result} in {text:?}"))?;
                println!("{variable}: {name}: {result}: {score:?}");
                by_system[place].add(score);
            }
        }
        system.is_sound()?;
    }
    system.end()
}

/// Lets the two ends communicate once. Returns everything that the console shows meanwhile.
fn talk(system: &mut System, channel: &Channel) -> Result<String, String> {
    system.type_in(format!("llminfer \"!attack {}\"\r", channel.inference));
    std::thread::sleep(Duration::from_millis(500));
    system.type_in(format!("\x1c{}", channel.shell));
    let mut text = String::new();
    let wait = |system: &mut System, text: &mut String, what: &str| {
        let seen = system.wait_for(what, PATIENCE);
        let seen = seen.ok_or_else(|| format!("{}: no '{what}' after {text:?}", channel.name))?;
        text.push_str(&plain(&seen));
        Ok::<_, String>(())
    };
    if channel.is_woken {
        wait(system, &mut text, "redteam-shell begins :end")?;
        // A shell that receives ends by itself when it has enough samples; one that sends ends when told to.
        let sends = channel.inference == "schedule-receive";
        let until = if sends { "turns: " } else { ":end" };
        let seen = (0..MOST_KEYS).find_map(|_| {
            system.type_in("k");
            system.wait_for(until, PACE)
        });
        let seen = seen.ok_or_else(|| format!("{}: it does not end", channel.name))?;
        text.push_str(&plain(&seen));
        if sends {
            system.type_in("\x1e");
            wait(system, &mut text, ":end")?;
        }
    } else {
        wait(system, &mut text, "redteam-shell attempts :end")?;
        wait(system, &mut text, ":end")?;
    }
    // Keys that arrived after the receiver had enough samples are still on the line: Ctrl-U deletes them.
    system.type_in("\x15");
    if channel.inference == "schedule-send" {
        let is_over = text.contains("inference serves again");
        if !is_over {
            system.recovery("")?;
        }
    } else if !text.contains("tokens/s") {
        let seen = system.rest_to_prompt("the receiver")?;
        text.push_str(&plain(&seen));
    }
    Ok(text)
}

/// The text without terminal controls, on one line.
fn plain(seen: &str) -> String {
    sel4_llm_tests::without_sequences(seen).replace(['\r', '\n'], "")
}
