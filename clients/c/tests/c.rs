//! The header and the library as a C compiler sees them. The tests compile C programs with `cc`, run them as processes,
//! and play audit. A file that both map holds their rings.

use protocol::error::{ErrorCode, Failure};
use protocol::name::{FormatName, ModelName, SessionName, TemplateName, UserName};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion, WriteWords as _};
use protocol::ring::{Endpoint, Frame, REGION_BYTES};
use protocol::testing::completion;
use protocol::wire::client::{
    AdapterEntry, AdapterOrigin, Budget, BudgetChange, Event, Exported, Finished, FormatEntry,
    ModelEntry, Progress, Request, Signature, Status, Training, Tuned, User,
};
use protocol::wire::{
    AdapterInfo, ArenaUse, Fault, FaultKind, FinishReason, InferParams, TARGETS_ALL, TrainParams,
    TrainProgress,
};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use system::{Folder, System, compile};

#[path = "c/adapters.rs"]
mod adapters;
#[path = "c/system.rs"]
mod system;
#[path = "c/trouble.rs"]
mod trouble;

fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

const NOTHING: &str = "error 1: audit has said nothing more";

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn finished() -> Event<'static> {
    Event::Finished(Finished {
        reason: FinishReason::MaxTokens,
        prompt_tokens: 5,
        generated_tokens: 4,
        turn: 1,
        first_token_us: 210,
        total_us: 330,
        held_us: 0,
    })
}

#[test]
fn whatever_a_caller_does_wrong_is_its_error() {
    let folder = Folder::new();
    let output = Command::new(compile(&folder, "errors.c")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said == "0 failed\n", "{said}");
}

#[test]
fn the_header_is_c99_and_cpp() {
    let has_cpp = Command::new("cc")
        .args(["-x", "c++", "-fsyntax-only", "/dev/null"])
        .output()
        .is_ok_and(|output| output.status.success());
    for (language, standard) in [("c", "c99"), ("c", "c11"), ("c++", "c++11")] {
        if language == "c++" && !has_cpp {
            let _ = writeln!(
                std::io::stderr(),
                "*** SKIPPED: the header as C++: cc has no C++ compiler ***"
            );
            continue;
        }
        let mut compiler = Command::new("cc")
            .args(["-x", language, &format!("-std={standard}")])
            .args([
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-fsyntax-only",
                "-include",
            ])
            .arg(own("include/sel4_llm.h"))
            .arg("/dev/null")
            .spawn()
            .expect("a C compiler");
        assert!(compiler.wait().unwrap().success(), "{standard}");
    }
}

#[test]
fn the_domain_in_the_documentation_compiles() {
    let readme = fs::read_to_string(own("README.md")).unwrap();
    let (_, rest) = readme.split_once("```c\n").unwrap();
    let (source, _) = rest.split_once("```").unwrap();
    let folder = Folder::new();
    let file = folder.0.join("client.c");
    fs::write(&file, source).unwrap();
    let compiled = Command::new("cc")
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-I",
        ])
        .arg(own("include"))
        .arg("-I")
        .arg(own("../../sim/c/include"))
        .arg("-c")
        .arg(&file)
        .arg("-o")
        .arg(folder.0.join("client.o"))
        .status();
    assert!(compiled.unwrap().success());
}

#[test]
fn a_question_is_asked_and_answered() {
    let mut system = System::off();
    assert_eq!(
        system.does("infer early"),
        "error 10: audit does not serve this client yet: try again when it signals"
    );
    system.audit.lead(1);
    let ready = Event::Ready(User {
        name: user("triage"),
        role: user("sensor"),
        ..User::default()
    });
    assert_eq!(system.told(0, &ready), "ready #0 triage (sensor)");
    assert_eq!(system.does("poll"), NOTHING);

    assert_eq!(system.does("infer Once upon"), "#1");
    assert_eq!(system.does("decide The door?"), "#2");
    assert_eq!(system.does("signal"), "yes");
    assert_eq!(system.does("signal"), "no");
    let plain = Request::Infer {
        adapter: ModelName::EMPTY,
        params: InferParams::default(),
        session: SessionName::EMPTY,
        format: FormatName::EMPTY,
        parts: completion(b"Once upon"),
    };
    assert_eq!(system.asked(), Some((1, format!("{plain:?}"))));
    let mut params = InferParams {
        max_tokens: 4,
        ..InferParams::default()
    };
    (params.sampling.temperature, params.sampling.seed) = (0, 9);
    let decide = Request::Infer {
        adapter: ModelName::new("moral").unwrap(),
        params,
        session: SessionName::new("door").unwrap(),
        format: FormatName::EMPTY,
        parts: completion(b"The door?"),
    };
    assert_eq!(system.asked(), Some((2, format!("{decide:?}"))));
    assert_eq!(system.asked(), None);

    system.say(
        2,
        &Event::Text {
            tokens: 2,
            text: b" is shut",
        },
    );
    system.say(
        1,
        &Event::Text {
            tokens: 0,
            text: b"",
        },
    );
    system.say(2, &finished());
    assert_eq!(system.does("poll"), "text #2 2' is shut'");
    // The prompt is in this client's own memory.
    assert_eq!(system.does("echo"), "#3");
    assert!(
        system
            .asked()
            .unwrap()
            .1
            .contains(r#"[(Text, " is shut")]"#)
    );
    assert_eq!(system.does("poll"), "text #1 0''");
    assert_eq!(system.does("poll"), "finished #2 end 2 5+4 turn 1 210/330");
    assert_eq!(system.does("poll"), NOTHING);
    // It has ended.
    assert!(system.does("cancel 2").starts_with("error 40:"));
    let failure = Failure::over(ErrorCode::QuotaExceeded, 12, 9);
    let failed = Event::Failed {
        failure,
        detail: b"triage",
    };
    assert_eq!(
        system.told(1, &failed),
        "failed #1 end QuotaExceeded 12/9 0'triage'"
    );
}

#[test]
fn conversations_formats_choices_and_stop_strings_are_sent() {
    let mut system = System::on();
    let asked = |system: &mut System, line: &str, number: u32, end: &str| {
        assert_eq!(system.does(line), format!("#{number}"), "{line}");
        let (asked_number, asked) = system.asked().unwrap();
        assert_eq!(asked_number, number);
        assert!(asked.ends_with(end), "{line}: {asked}");
    };
    asked(
        &mut system,
        "converse Be brief.|Hi|Hello.|<|im_end|>?",
        1,
        // The bars of an apparent control token also separate here, so there are two turns.
        r#"format: "", parts: [(System, "Be brief."), (User, "Hi"), (Assistant, "Hello."), (User, "<"), (Assistant, "im_end"), (User, ">?"), (Stop, "\n\n"), (Stop, ".")] }"#,
    );
    asked(
        &mut system,
        "choose Open the door?",
        2,
        r#"parts: [(Prompt, "Open the door?"), (Choice, "yes"), (Choice, "no"), (Choice, "unsure")] }"#,
    );
    asked(
        &mut system,
        "classify Door 3 opened.",
        3,
        r#"format: "triage", parts: [(Text, "Door 3 opened.")] }"#,
    );
    let text = Event::Text {
        tokens: 1,
        text: b"Hello.",
    };
    assert_eq!(system.told(2, &text), "text #2 1'Hello.'");
    asked(
        &mut system,
        "answer And then?",
        4,
        r#"parts: [(User, "Hi"), (Assistant, "Hello."), (User, "And then?")] }"#,
    );
    asked(&mut system, "formats", 5, "Formats");
    let format = Event::Format(FormatEntry {
        name: FormatName::new("triage").unwrap(),
        states: 12,
        bytes: 2048,
        allowed: true,
        sha256: [0xab; 32],
    });
    let hash = "ab".repeat(32);
    assert_eq!(
        system.told(5, &format),
        format!("format #5 triage 12 states, 2048 bytes, allowed sha256 {hash}")
    );
    assert_eq!(
        system.told(5, &Event::Listed { count: 1 }),
        "listed #5 end 1"
    );
    let failed = Event::Failed {
        failure: Failure::of(ErrorCode::FormatBreach),
        detail: b"",
    };
    assert_eq!(
        system.told(3, &failed),
        "failed #3 end FormatBreach 0/0 0''"
    );
    let stopped = Event::Finished(Finished {
        reason: FinishReason::Stop,
        prompt_tokens: 5,
        generated_tokens: 4,
        turn: 1,
        first_token_us: 210,
        total_us: 330,
        held_us: 0,
    });
    assert_eq!(
        system.told(1, &stopped),
        "finished #1 end 5 5+4 turn 1 210/330"
    );
}

#[test]
fn models_status_and_budget_come_as_structures() {
    let mut system = System::on();
    for (number, (what, asked)) in [
        ("models", Request::Models),
        ("status", Request::Status),
        (
            "budget",
            Request::Budget {
                user: UserName::EMPTY,
                change: BudgetChange::NONE,
            },
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let number = number as u32 + 1;
        assert_eq!(system.does(what), format!("#{number}"));
        assert_eq!(system.asked(), Some((number, format!("{asked:?}"))));
    }
    // The longest possible name.
    let name = "m".repeat(64);
    let model = Event::Model(ModelEntry {
        name: ModelName::new(&name).unwrap(),
        file_bytes: 99,
        loaded: true,
        signature: Signature::Good,
    });
    assert_eq!(
        system.told(1, &model),
        format!("model #1 {name} 99 loaded signature 2")
    );
    assert_eq!(
        system.told(1, &Event::Listed { count: 1 }),
        "listed #1 end 1"
    );
    let mut status = Status {
        name: ModelName::new("default").unwrap(),
        arena: ArenaUse {
            weights: 7,
            other: 1,
            capacity: 10,
            ..ArenaUse::default()
        },
        kv_positions: 20,
        kv_free: 15,
        restarts: 1,
        active: 2,
        waiting: 3,
        sessions: 4,
        ..Status::default()
    };
    status.model.context = 512;
    status.model.template = TemplateName::new("chatml").unwrap();
    status.model.separates = true;
    assert_eq!(
        system.told(2, &Event::Status(status)),
        "status #2 end default (chatml, roles apart) 8 of 10, 512; cache 15/20, 2 active, 3 waiting, 4 sessions, 1 restarts"
    );
    let budget = Event::Budget(Budget {
        user: user("triage"),
        tokens: 210,
        used: 100,
        reserved: 10,
        period_us: 3_600,
        left_us: 600,
    });
    assert_eq!(
        system.told(3, &budget),
        "budget #3 end triage 100 of 210, 600 of 3600 us"
    );
}
