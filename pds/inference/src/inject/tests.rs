use super::*;
use llm_core::backend::StubBackend;
use llm_core::sampling::SamplerParams;
use std::cell::Cell;
use std::string::String;
use std::vec::Vec;

std::thread_local! {
    static SCRIBBLED: Cell<u64> = const { Cell::new(0) };
    static SILENT: Cell<bool> = const { Cell::new(false) };
    static ROUNDING: Cell<bool> = const { Cell::new(false) };
}

const MISDEEDS: Misdeeds = Misdeeds {
    write_outside: || panic!("writes outside"),
    spin: || panic!("spins"),
    scribble: |seed| SCRIBBLED.set(seed),
    set_rounding: || ROUNDING.set(true),
    fall_silent: || SILENT.set(true),
};

fn injector() -> Injector<StubBackend> {
    let mut injector = Injector::new(StubBackend::default(), MISDEEDS);
    injector.load(b"anything").unwrap();
    injector
}

fn start(injector: &mut Injector<StubBackend>, session: usize, prompt: &[u8]) {
    let params = GenerateParams {
        sampler: SamplerParams::greedy(),
        max_tokens: 3,
    };
    injector
        .start(Turn::only(session), Prompt::Text(prompt), &params)
        .unwrap();
}

/// Generated tokens, and both counts in the end.
fn run(injector: &mut Injector<StubBackend>) -> (u32, u32, u32) {
    let (mut text, mut tokens) = (Text::new(), 0);
    loop {
        match injector.step(&mut text) {
            Progress::Session(_, Ok(Step::Token { .. })) => tokens += 1,
            Progress::Session(
                _,
                Ok(Step::Finished {
                    prompt_tokens,
                    generated,
                    ..
                }),
            ) => return (tokens, prompt_tokens, generated),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn lies_are_in_the_counts_alone_and_told_once() {
    let mut injector = injector();
    start(&mut injector, 2, b"!lie");
    assert_eq!(run(&mut injector), (3, 4, 4));
    start(&mut injector, 2, b"!lie-prompt");
    assert_eq!(run(&mut injector), (3, u32::MAX, 3));
    start(&mut injector, 2, b"true");
    assert_eq!(run(&mut injector), (3, 4, 3));
}

#[test]
fn a_leak_is_in_each_token_and_a_short_answer_ends_as_if_it_were_whole() {
    let mut injector = injector();
    start(&mut injector, 2, b"!leak");
    let (mut text, mut said) = (Text::new(), String::new());
    while let Progress::Session(_, Ok(Step::Token { .. })) = injector.step(&mut text) {
        said.push_str(&text);
    }
    assert_eq!(said, "leaked leaked leaked ");
    start(&mut injector, 2, b"!short");
    let token = injector.step(&mut text);
    assert!(matches!(
        token,
        Progress::Session(2, Ok(Step::Token { .. }))
    ));
    let finished = Step::Finished {
        reason: FinishReason::EndOfText,
        prompt_tokens: 6,
        generated: 1,
    };
    assert_eq!(injector.step(&mut text), Progress::Session(2, Ok(finished)));
    start(&mut injector, 2, b"true");
    assert_eq!(run(&mut injector), (3, 4, 3));
}

#[test]
fn a_flood_goes_on_through_a_cancel_until_an_epoch_ends_it() {
    let mut injector = injector();
    start(&mut injector, 5, b"!flood");
    injector.cancel(5);
    let mut text = Text::new();
    for _ in 0..1000 {
        let token = Progress::Session(5, Ok(Step::Token { id: 0 }));
        assert_eq!(injector.step(&mut text), token);
    }
    injector.reset();
    assert_eq!(injector.step(&mut text), Progress::Idle);
}

#[test]
fn garbage_depends_on_the_prompt_and_the_request_goes_on() {
    let mut injector = injector();
    let mut seeds = Vec::new();
    for prompt in [b"!garbage 1", b"!garbage 2", b"!garbage 1"] {
        start(&mut injector, 0, prompt);
        assert_eq!(run(&mut injector), (3, 10, 3));
        seeds.push(SCRIBBLED.get());
    }
    assert!(seeds[0] == seeds[2] && seeds[0] != seeds[1]);
    let words = |seed| Garbage::new(seed).take(4).collect::<Vec<_>>();
    assert_ne!(words(seeds[0]), words(seeds[1]));
    // The first output of the reference implementation for seed 0.
    assert_eq!(words(0)[0], 0xe220_a839_7b1d_cdaf);
}

#[test]
fn silence_is_the_runtimes() {
    start(&mut injector(), 0, b"!silent");
    assert!(SILENT.get());
}

#[test]
#[should_panic(expected = "writes outside")]
fn another_rounding_comes_before_the_fault() {
    let mut injector = injector();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        start(&mut injector, 0, b"!fpcr");
    }));
    assert!(ROUNDING.get());
    std::panic::resume_unwind(result.unwrap_err());
}
