//! What time partitions cost honest domains.

use sel4_llm_tests::{Terminal, without_sequences};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
const PROMPT: &str = "llm> ";
const STORY: &str = "llminfer \"Once upon a time\" --max-tokens 48 --temperature 0";
/// A question that audit answers.
const QUESTION: &str = "llmstats";
/// Number of questions per boot.
const QUESTIONS: usize = 20;

const SYSTEMS: [&str; 2] = ["SEL4_LLM_RUN", "SEL4_LLM_RUN_PARTITIONS"];

#[derive(Default)]
struct Figures {
    tokens_per_second: Vec<f64>,
    first_ms: Vec<f64>,
    round_trip_ms: Vec<f64>,
}

/// Measures both systems in turn, with one boot of each per round. Returns the table.
pub(crate) fn measure(rounds: u32) -> Result<String, String> {
    let mut systems = [Figures::default(), Figures::default()];
    for _ in 0..rounds {
        for (variable, figures) in SYSTEMS.into_iter().zip(&mut systems) {
            boot(variable, figures)?;
        }
    }
    let [main, partitions] = &mut systems;
    let mut row = |name: &str, unit: &str, of: fn(&mut Figures) -> &mut Vec<f64>| {
        let [a, b] = [of(main), of(partitions)].map(|values| {
            values.sort_by(f64::total_cmp);
            let at = |percent: usize| values[(values.len() - 1) * percent / 100];
            (at(50), at(95))
        });
        format!(
            "| {name} | {:.1} ({:.1}) {unit} | {:.1} ({:.1}) {unit} | {:.2} |\n",
            a.0,
            a.1,
            b.0,
            b.1,
            b.0 / a.0
        )
    };
    let mut table = String::from(
        "| median (95th percentile) | main system | time partitions | ratio |\n|---|---|---|---|\n",
    );
    table += &row("tokens a second", "", |it| &mut it.tokens_per_second);
    table += &row("first token", "ms", |it| &mut it.first_ms);
    table += &row("console round trip, answered by audit", "ms", |it| {
        &mut it.round_trip_ms
    });
    Ok(table)
}

fn boot(variable: &str, figures: &mut Figures) -> Result<(), String> {
    let mut terminal = Terminal::start_of(variable);
    let mut ask = |line: &str| {
        terminal.type_in(format!("{line}\r"));
        // Only the prompt after the echo counts.
        let echo = terminal.wait_for("\n", PATIENCE);
        let answer = echo.and_then(|_| terminal.wait_for(PROMPT, PATIENCE));
        answer.ok_or_else(|| format!("no answer to '{line}'"))
    };
    for _ in 0..3 {
        let answer = without_sequences(&ask(STORY)?);
        let number = |before: &str, behind: &str| -> Option<f64> {
            let (rest, _) = answer.rsplit_once(behind)?;
            let (_, number) = rest.rsplit_once(before)?;
            number.trim().parse().ok()
        };
        let wrong = || format!("no figures in {answer:?}");
        let rate = number(", ", " tokens/s").ok_or_else(wrong)?;
        let first = number("first after ", " s").ok_or_else(wrong)?;
        figures.tokens_per_second.push(rate);
        figures.first_ms.push(1000.0 * first);
    }
    for _ in 0..QUESTIONS {
        let began = Instant::now();
        ask(QUESTION)?;
        figures
            .round_trip_ms
            .push(began.elapsed().as_secs_f64() * 1000.0);
    }
    match terminal.leave() {
        0 => Ok(()),
        status => Err(format!("the system ended with status {status}")),
    }
}
