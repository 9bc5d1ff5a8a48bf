//! Fine-tuning, and adapters.

use super::*;

#[test]
fn adapters_are_trained_listed_loaded_exported_and_dropped() {
    let mut system = System::on();
    let name = |name| ModelName::new(name).unwrap();
    let params = TrainParams {
        seed: 7,
        rank: 8,
        alpha: 16_000_000,
        epochs: 5,
        rate: 2_000_000,
        targets: TARGETS_ALL,
        reserved: 0,
    };
    let answer = br#"{"prompt":"So be","answer":" kind"}"#;
    for (number, (line, request)) in [
        (
            "example Be \\ \"kind\"",
            Request::Example {
                text: br#"{"text":"Be \\ \"kind\""}"#,
            },
        ),
        ("example So be| kind", Request::Example { text: answer }),
        (
            "tune",
            Request::FineTune {
                params: TrainParams::default(),
                data: name("examples"),
                adapter: ModelName::EMPTY,
            },
        ),
        (
            "tune-hard feelings",
            Request::FineTune {
                params,
                data: name("feelings"),
                adapter: name("moods"),
            },
        ),
        ("adapters", Request::Adapters),
        (
            "load-adapter moral",
            Request::LoadAdapter {
                name: name("moral"),
            },
        ),
        (
            "export-adapter moods",
            Request::ExportAdapter {
                name: name("moods"),
            },
        ),
        (
            "export-adapter more",
            Request::ExportAdapter { name: name("more") },
        ),
        (
            "drop-adapter moods",
            Request::DropAdapter {
                name: name("moods"),
            },
        ),
        ("drop-examples", Request::DropExamples),
    ]
    .into_iter()
    .enumerate()
    {
        let number = number as u32 + 1;
        assert_eq!(system.does(line), format!("#{number}"));
        assert_eq!(system.asked(), Some((number, format!("{request:?}"))));
    }

    let examples = |count, bytes| Event::Examples {
        count,
        bytes,
        limit: 65_536,
    };
    assert_eq!(
        system.told(2, &examples(2, 60)),
        "examples #2 end 2, 60 of 65536 bytes"
    );
    let progress = Event::Progress(Progress {
        stage: protocol::wire::client::Stage::Verifying,
        done: 3,
        total: 8,
    });
    assert_eq!(system.told(4, &progress), "progress #4 3/8");
    let training = Event::Training(Training {
        progress: TrainProgress {
            step: 3,
            steps: 20,
            tokens: 99,
            loss: 1_234_567,
            longest: 40,
            alone: true,
        },
        elapsed_us: 17,
    });
    assert_eq!(
        system.told(4, &training),
        "training #4 step 3 of 20, 99 tokens, loss 1234567, longest 40, alone, 17 us"
    );
    let mut tuned = Tuned {
        name: name("moods"),
        sha256: [0xab; 32],
        file_bytes: 500,
        tokens: 700,
        steps: 20,
        loss: 1_000_000,
        total_us: 90,
        ..Tuned::default()
    };
    let hash = "ab".repeat(32);
    assert_eq!(
        system.told(4, &Event::Tuned(tuned)),
        format!(
            "tuned #4 end moods 500 bytes, 700 tokens, 20 steps, loss 1000000, 90 us, loaded sha256 {hash}"
        )
    );
    tuned.not_loaded = Some(ErrorCode::AdapterTooLarge);
    let said = system.told(3, &Event::Tuned(tuned));
    assert!(said.contains(" 90 us, AdapterTooLarge sha256 "), "{said}");

    let info = AdapterInfo {
        rank: 4,
        alpha: 8_000_000,
        matrices: 16,
        parameters: 1024,
        bytes: 4096,
    };
    let adapter = Event::Adapter(AdapterEntry {
        name: name("moods"),
        file_bytes: 500,
        sha256: [0xab; 32],
        base_sha256: [0xcd; 32],
        origin: AdapterOrigin::Device,
        signature: Signature::Good,
        loaded: true,
        info,
    });
    let base = "cd".repeat(32);
    assert_eq!(
        system.told(5, &adapter),
        format!(
            "adapter #5 moods 500 loaded made here signature 2 rank 4 alpha 8000000, 16 matrices, 1024 numbers, 4096 bytes \
             sha256 {hash} base {base}"
        )
    );
    assert_eq!(
        system.told(5, &Event::Listed { count: 1 }),
        "listed #5 end 1"
    );
    let loaded = Event::AdapterLoaded {
        name: name("moral"),
        info,
    };
    let zeros = "00".repeat(32);
    assert_eq!(
        system.told(6, &loaded),
        format!(
            "adapter-loaded #6 end moral 0 loaded signature 0 rank 4 alpha 8000000, 16 matrices, 1024 numbers, 4096 bytes \
             sha256 {zeros} base {zeros}"
        )
    );
    let part = Event::AdapterPart {
        offset: 496,
        bytes: b"GGUF",
    };
    assert_eq!(system.told(7, &part), "adapter-part #7 at 496 0'GGUF'");
    let exported = Event::Exported(Exported {
        name: name("moods"),
        file_bytes: 500,
        sha256: [0xab; 32],
        base_sha256: [0xcd; 32],
        signature: [0xef; 64],
    });
    let signature = "ef".repeat(64);
    assert_eq!(
        system.told(7, &exported),
        format!("exported #7 end moods 500 bytes sha256 {hash} base {base} signature {signature}")
    );
    assert_eq!(system.told(8, &Event::Done), "done #8 end");
    assert_eq!(system.told(9, &Event::Done), "done #9 end");
    assert_eq!(
        system.told(10, &examples(0, 0)),
        "examples #10 end 0, 0 of 65536 bytes"
    );
    // This event does not end the first request, which is still open.
    assert_eq!(system.told(1, &Event::Done), NOTHING);
}
