//! `soak`: thousands of random requests from three clients, on the simulation: a scripted console, and two programs
//! (`tests/clients/soak`) that stop reading at random and send garbage, while inference is killed, lies, floods its
//! ring and fills it with garbage. At the end no token of any budget is lost or counted twice; every request has one
//! end in the log and the same one at its client, to the byte of its text; the log verifies; and `llmtool replay`
//! reproduces every output.
//!
//! The environment says how to start the system, as for the end-to-end suite: `SEL4_LLM_RUN_INJECT` and
//! `SEL4_LLM_LLMTOOL`. `make soak` sets them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rustix::process::{Pid, Signal, kill_process};
use sel4_llm_tests::books::TURN;
use sel4_llm_tests::export::Table;
use sel4_llm_tests::live::Broken;
use sel4_llm_tests::scripted::{Scripted, USERS};

/// Requests typed between two checkpoints, while each other client takes a turn: the log in memory has room for about
/// 700. In every second interval inference is left in peace, so that sessions live long enough to be evicted.
const STRETCH: usize = TURN as usize;

/// Other clients: the names of their domains and of their users.
const OTHERS: [&str; 2] = ["first", "second"];

/// A soak of the simulation.
#[derive(Debug, Parser)]
struct Arguments {
    /// Number of requests for text, by all clients together
    #[arg(long, default_value_t = 10_000)]
    requests: usize,
    /// Seed that determines what happens and when, except for the machine's scheduler
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder with the store's models, for the replay
    #[arg(long)]
    models: PathBuf,
    /// Folder for the log and the simulation's messages
    #[arg(long)]
    output: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let mut table = Table::default();
    let result = soak(&arguments, &mut table);
    table.row("seconds", began.elapsed().as_secs());
    print!("{table}");
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak (seed {}): {error}", arguments.seed);
            ExitCode::FAILURE
        }
    }
}

/// Counts of what has been done, by kind.
#[derive(Debug, Default)]
struct Done {
    kills: usize,
    misdeeds: usize,
    interrupts: usize,
    questions: usize,
}

fn soak(arguments: &Arguments, table: &mut Table) -> Result<(), Broken> {
    std::fs::create_dir_all(&arguments.output)?;
    let messages = arguments.output.join("sim.log");
    // The simulation appends to it.
    if messages.exists() {
        std::fs::remove_file(&messages)?;
    }
    let log = messages.to_string_lossy();
    let mut console = Scripted::start(&["--debug", "--log", &log], &OTHERS)?;
    let mut chance = Chance(Xoshiro256PlusPlus::seed_from_u64(arguments.seed));
    let mut done = Done::default();
    while console.requests()? < arguments.requests {
        let user = console.user();
        console.insist_on("tester")?;
        console.set_budget("guest", 1_000_000_000)?;
        // Now and then the allowance is too small for a turn.
        console.begin_turn(|| match chance.below(4) {
            0 => chance.below(1_500),
            _ => 1_000_000 + chance.below(1_000_000),
        })?;
        console.insist_on(user)?;
        let end = console.typed() + STRETCH;
        while console.typed() < end {
            step(&mut console, &mut chance, &mut done, &messages)?;
        }
        console.checkpoint()?;
    }
    table.row("kills of the process of inference", done.kills);
    table.row("prompts that make inference misbehave", done.misdeeds);
    table.row("Ctrl-C", done.interrupts);
    table.row("questions in between", done.questions);
    let models = arguments.models.to_string_lossy();
    console.verdict(&arguments.output, &models, table)?;
    console.live.end()
}

/// A random action.
fn step(
    console: &mut Scripted,
    chance: &mut Chance,
    done: &mut Done,
    messages: &Path,
) -> Result<(), Broken> {
    let calm = console.typed() / STRETCH % 2 == 1;
    match chance.below(1000) {
        820..910 if calm => console.infer(&request(chance), None).map(|_| ()),
        0..500 => {
            let line = request(chance);
            if chance.below(6) > 0 {
                return console.infer(&line, None).map(|_| ());
            }
            done.interrupts += 1;
            let line = format!("{line} --max-tokens 200");
            let after = Duration::from_micros(chance.below(8_000));
            console.infer(&line, Some(after)).map(|_| ())
        }
        500..700 => console.start_job(&request(chance)),
        700..740 => console.wait_for_oldest(),
        740..790 => {
            let jobs = console.jobs();
            if let Some(job) = chance.pick(&jobs) {
                done.questions += 1;
                console.ask(&format!("llmctl cancel {job}"))?;
            }
            Ok(())
        }
        790..820 => {
            let user = USERS[chance.below(USERS.len() as u64) as usize];
            console.log_in(user).map(|_| ())
        }
        820..822 => {
            console.ask("login admin\nwrong")?;
            Ok(())
        }
        822..850 => {
            done.kills += 1;
            kill(console.live.pid(), messages)
        }
        850..910 => {
            done.misdeeds += 1;
            let hang = chance.below(16) == 0;
            let misdeeds = match hang {
                true => &["silent", "spin"][..],
                false => &[
                    "garbage",
                    "lie",
                    "lie-prompt",
                    "flood",
                    "fault-write",
                    "fpcr",
                ],
            };
            let (misdeed, number) = (chance.pick(misdeeds), chance.below(1 << 32));
            let line = format!("llminfer \"!{} {number}\"", misdeed.unwrap_or(&""));
            match chance.below(3) {
                0 => console.start_job(&line),
                _ => console.infer(&line, None).map(|_| ()),
            }
        }
        910..925 => {
            done.questions += 1;
            let models = [
                "small",
                "default",
                "default",
                "unsigned",
                "wrong-key",
                "altered",
                "truncated",
                "corrupt",
                "large",
                "none",
            ];
            let model = chance.pick(&models).unwrap_or(&"none");
            console.ask(&format!("llmctl load {model}")).map(|_| ())
        }
        925..932 => {
            done.questions += 1;
            change_budget(console, chance)
        }
        _ => {
            done.questions += 1;
            let questions = [
                "whoami",
                "llmstats",
                "llmctl status",
                "llmctl jobs",
                "llmctl sessions",
                "llmctl models",
                "llmctl budget",
                "llmctl audit --last 9",
                "llmctl close s3",
                "llmctl close s5",
                "help llminfer",
                "llmctl audit verify",
                "nonsense",
            ];
            let question = chance.pick(&questions).unwrap_or(&"whoami");
            console.ask(question).map(|_| ())
        }
    }
}

/// Lowers the guest's budget or restores it, if the logged-in user is allowed to.
fn change_budget(console: &mut Scripted, chance: &mut Chance) -> Result<(), Broken> {
    if console.user() == "guest" {
        return console.ask("llmctl budget guest --tokens 1").map(|_| ());
    }
    let tokens = match chance.below(3) {
        0 => 1000,
        _ => 1_000_000_000,
    };
    console.set_budget("guest", tokens)
}

/// A command for text, usually an allowed one.
fn request(chance: &mut Chance) -> String {
    const PROMPTS: [&str; 12] = [
        "Once upon a time",
        "One day",
        "The king said",
        "\\\"Who are you?\\\" asked the fox.",
        "There was once a poor woodcutter",
        "She opened the door and",
        "Long ago, when wishes still helped,",
        "Ein Märchen: 猫",
        "and",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z",
        "\u{1f98a}\u{1f431}",
        " ",
    ];
    let prompt = match chance.below(200) {
        0 => "word ".repeat(600),
        _ => (*chance.pick(&PROMPTS).unwrap_or(&"x")).to_owned(),
    };
    let tokens = 1 + chance.below(24);
    let mut line = format!("llminfer \"{prompt}\" --max-tokens {tokens}");
    match chance.below(4) {
        0 => line += " --temperature 0",
        1 => line += &format!(" --temperature 1.{}", chance.below(100)),
        _ => {}
    }
    if chance.below(2) == 0 {
        line += &format!(" --seed {}", chance.0.next_u64());
    }
    if chance.below(10) < 4 {
        line += &format!(" --session s{}", chance.below(16));
    }
    match chance.below(100) {
        0 => line += " --temperature 11",
        1 => line += " --top-p 2",
        2..10 => line += " --top-k 0 --top-p 1 --min-p 0",
        10..15 => line += " --repeat-penalty 1.5 --repeat-last-n 8",
        _ => {}
    }
    line
}

/// Kills inference's process, which the simulation's messages name.
fn kill(supervisor: u32, messages: &Path) -> Result<(), Broken> {
    let text = std::fs::read_to_string(messages)?;
    let started = text.rsplit_once("inference: started as process ");
    let number = started.and_then(|(_, rest)| rest.lines().next()?.parse::<i32>().ok());
    let Some(number) = number else {
        return Err(Broken::Wrong(format!("no process of inference in {text}")));
    };
    // It may have ended meanwhile; another process must not be killed instead.
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    let parent = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').nth(1));
    if parent.and_then(|parent| parent.parse().ok()) == Some(supervisor)
        && let Some(pid) = Pid::from_raw(number)
    {
        // It may be dead already, which is just as good.
        let _ = kill_process(pid, Signal::KILL);
    }
    Ok(())
}

/// The next action.
struct Chance(Xoshiro256PlusPlus);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        // The bias of the remainder of a 64-bit number does not matter here.
        self.0.next_u64() % limit
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len().max(1) as u64);
        from.get(index as usize)
    }
}
