use super::*;
use crate::store::StoreFile;
use sysdesc::System;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn wish(models: &[&str]) -> Wish {
    let model = |name: &&str| StoreFile {
        name: name
            .trim_start_matches("models/")
            .trim_end_matches(".gguf")
            .to_owned(),
        path: repository(name),
    };
    Wish {
        files: models.iter().map(model).collect(),
        context: None,
        sessions: 2,
        memory: 2 << 30,
    }
}

fn layout(arena: u64, store: u64, page: u64) -> Layout {
    Layout {
        models: Vec::new(),
        context: 700,
        arena,
        store,
        page,
        deadline_s: 77,
        grace_ms: 100,
    }
}

#[test]
fn the_plan_is_the_engines_and_a_board_that_is_too_small_is_named() {
    let small = wish(&["models/default.gguf", "models/tiny-f32.gguf"]);
    let planned = plan(&small).unwrap();
    assert_eq!((planned.arena, planned.store), (8 << 20, 8 << 20));
    assert_eq!((planned.page, planned.context), (0x1000, 512));
    assert!(
        planned
            .to_string()
            .contains("default: 5.8 M parameters, context 512, a cache of 1024")
    );

    let error = plan(&Wish {
        memory: 16 << 20,
        ..small.clone()
    })
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("the board has 16.00 MiB") && text.contains("arena 8.00 MiB"),
        "{text}"
    );

    let many = plan(&Wish {
        sessions: 32,
        ..small
    })
    .unwrap();
    assert!(many.arena > 8 << 20, "{many}");
}

#[test]
fn regions_grow_and_their_addresses_follow() {
    let template = repository("system.xml");
    for (arena, store, page) in [
        (8 << 20, 8 << 20, 0x1000),
        (0x900_0000, 0x400_0000, 0x1000),
        (0x2000_0000, 0x1000_0000, 0x20_0000),
    ] {
        let text = describe(&layout(arena, store, page), &template).unwrap();
        let system = System::parse(&text).unwrap();
        let mut spans = Vec::new();
        for domain in &system.domains {
            for map in &domain.maps {
                let region = &system.regions[map.region];
                if region.name == "arena" || region.name == "model_store" {
                    assert_eq!(region.page_size, page);
                    assert!(map.vaddr.is_multiple_of(page));
                }
                spans.push((&domain.name, map.vaddr, map.vaddr + region.size));
            }
        }
        for (n, (who, from, to)) in spans.iter().enumerate() {
            for (other, first, last) in &spans[n + 1..] {
                assert!(
                    who != other || to <= first || last <= from,
                    "{who}: {from:#x}"
                );
            }
        }
    }
    let unchanged = describe(&layout(8 << 20, 8 << 20, 0x1000), &template).unwrap();
    assert_eq!(unchanged, std::fs::read_to_string(template).unwrap());
}

#[test]
fn the_policy_gets_the_key_the_context_and_longer_times_and_keeps_the_rest() {
    let (text, _) = adapt_policy(&layout(0, 0, 0x1000), &repository("policy.toml")).unwrap();
    for line in [
        "context = 700",
        "deadline = \"77000ms\"",
        "stop-grace = \"250ms\"",
        "[keys.this-machine]",
        "[keys.sel4-llm-models]",
        "# What a role may do: infer,",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}
