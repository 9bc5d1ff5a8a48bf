//! Models on a disk, and adapters made on the device, on the runtime given by the environment: they come and go without
//! another build, and each problem with a disk is reported in one line.

use sel4_llm_tests::disk::{Image, is_emulated, session_with};
use sel4_llm_tests::{Session, llmtool_generate_with};

const ADMIN: &str = "login admin\nsel4\n";
const TINY: &str = "models/tiny-f32.gguf";
const DEFAULT: &str = "models/default.gguf";

fn has(session: &Session, parts: &[&str]) {
    for part in parts {
        assert!(session.output.contains(part), "{part}: {}", session.output);
    }
    assert_eq!(session.status, Some(0), "{}", session.output);
}

fn image() -> Image {
    Image::create(&["--size", "32MiB", "--log-size", "1MiB"])
}

#[test]
fn a_model_is_put_on_the_disk_and_loaded_by_its_name() {
    let image = image();
    image.add(&[&format!("tales={TINY}"), DEFAULT]);
    let session = session_with(
        &image,
        format!(
            "{ADMIN}llmctl models\nllmctl load disk/tales\nllmctl models\nllminfer \"Once upon a time\" --max-tokens 12 \
             --temperature 0\nllmctl load tales\nllmctl load disk/default\nllmctl load default\n"
        ),
    );
    let text = llmtool_generate_with(
        TINY,
        "Once upon a time",
        &["--max-tokens", "12", "--temperature", "0"],
    );
    has(
        &session,
        &[
            "  disk/tales (1163008 bytes, signed, not checked yet)",
            "  disk/default (4467424 bytes, signed, not checked yet)",
            "loaded disk/tales:",
            "* disk/tales (1163008 bytes, signature good)",
            &text,
            "loaded disk/default:",
            "loaded default:",
        ],
    );
}

/// The contents of the arena, according to `llmstats`.
fn arenas(session: &Session) -> Vec<String> {
    let arenas = session.output.split("\narena\n").skip(1);
    let lines = arenas.map(|rest| {
        let lines = rest.lines().take_while(|line| line.contains(" bytes "));
        // Its maximum depends on all models so far.
        let lines = lines.filter(|line| !line.contains("peak"));
        lines.collect::<Vec<_>>().join("\n")
    });
    lines.collect()
}

#[test]
fn models_are_swapped_a_hundred_times_and_all_is_as_before() {
    let image = image();
    image.add(&[&format!("one={TINY}"), &format!("two={TINY}")]);
    let before = image.tool("list", &[]);
    let swaps = if is_emulated() { 20 } else { 100 };
    let mut script = ADMIN.to_owned();
    for swap in 0..swaps {
        let name = ["disk/one", "disk/two"][swap % 2];
        script += &format!(
            "llmctl load {name}\nllminfer \"Once upon a time\" --max-tokens 4 --temperature 0\nllmstats\n"
        );
    }
    script += "llmctl load default\nllmctl models\nllmctl audit verify\n";
    let session = session_with(&image, script);
    let loads = session.output.matches("loaded disk/").count();
    assert_eq!(loads, swaps, "{}", session.output);
    let texts = session.generations();
    let text = llmtool_generate_with(
        TINY,
        "Once upon a time",
        &["--max-tokens", "4", "--temperature", "0"],
    );
    assert_eq!(texts.len(), swaps);
    for said in texts {
        assert!(said.ends_with(text.trim_end()), "{said:?}, not {text:?}");
    }
    let arenas = arenas(&session);
    assert_eq!(arenas.len(), swaps);
    for arena in &arenas {
        assert_eq!(arena, &arenas[0]);
    }
    has(&session, &["loaded default:", "* default ("]);
    // The log is written directly to its sectors.
    assert_eq!(image.tool("list", &[]), before);
    image.tool("check", &[]);
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_one_line_and_the_model_in_service_stays() {
    let image = image();
    let folder = std::env::temp_dir().join(format!("sel4-llm-disk-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (tiny, signature) = (
        std::fs::read(TINY_HERE).unwrap(),
        std::fs::read(format!("{TINY_HERE}.sig")).unwrap(),
    );
    let put = |path: &str, as_path: &str| image.add(&[path, "--as", as_path, "--unsigned"]);
    let mut altered = tiny.clone();
    altered[1_000_000] ^= 1;
    put(&file("altered.gguf", &altered), "altered.gguf");
    put(&file("good.sig", &signature), "altered.gguf.sig");
    put(&file("tiny.gguf", &tiny), "unsigned.gguf");
    put(&file("tiny.gguf", &tiny), "shortsig.gguf");
    put(&file("short.sig", &signature[..63]), "shortsig.gguf.sig");
    put(&file("large.gguf", &vec![7; 9_000_000]), "large.gguf");
    put(&file("good.sig", &signature), "large.gguf.sig");
    put(&file("empty.gguf", b""), "empty.gguf");
    put(&file("good.sig", &signature), "empty.gguf.sig");
    put(&file("tiny.gguf", &tiny), "deep/er/still/model.gguf");
    put(
        &file("good.sig", &signature),
        "deep/er/still/model.gguf.sig",
    );
    let long = format!("{}.gguf", "n".repeat(200));
    put(&file("tiny.gguf", &tiny), &long);
    put(&file("tiny.gguf", &tiny), "a name with blanks.gguf");
    let session = session_with(
        &image,
        format!(
            "{ADMIN}llmctl models\nllmctl load disk/altered\nllmctl load disk/unsigned\nllmctl load disk/shortsig\n\
             llmctl load disk/large\nllmctl load disk/empty\nllmctl load disk/nothing\nllmctl load disk/deep\n\
             llmctl load {}\nllmctl load disk/AUDIT.LOG\nllminfer \"Once upon a time\" --max-tokens 4 --temperature 0\n\
             llmctl load disk/deep/er/still/model\n",
            "n".repeat(64)
        ),
    );
    let text = llmtool_generate_with(
        DEFAULT,
        "Once upon a time",
        &["--max-tokens", "4", "--temperature", "0"],
    );
    has(
        &session,
        &[
            "  disk/unsigned (1163008 bytes, not signed)",
            "  disk/deep/er/still/model (1163008 bytes, signed, not checked yet)",
            "error: 2 files of the disk cannot be shown",
            "the file 'disk/unsigned' has no signature",
            "has 9000000 bytes, and there is room for 8388608",
            "the disk has no file 'disk/nothing'",
            "the disk has no file 'disk/deep'",
            "the name has 64 bytes, 1 to 59 are allowed",
            &text,
            "loaded disk/deep/er/still/model:",
        ],
    );
    for name in ["altered", "shortsig", "empty"] {
        let words = format!("'disk/{name}'");
        let line = session.output.lines().find(|line| line.contains(&words));
        let line = line.unwrap_or_else(|| panic!("{words}: {}", session.output));
        assert!(
            line.starts_with("error: ") && line.contains("signature"),
            "{line}"
        );
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// The folder in which the tests run.
const TINY_HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-f32.gguf");

#[test]
fn without_a_file_system_the_store_is_listed_and_nothing_is_loaded_that_no_log_could_record() {
    for bytes in [1 << 20, 512] {
        let image = Image::blank(bytes);
        let session = session_with(
            &image,
            format!(
                "{ADMIN}llmctl models\nllmctl load disk/tiny\nllmctl load tiny\nllmctl status\n"
            ),
        );
        has(
            &session,
            &[
                "  tiny (1163008 bytes",
                "error: the disk has no file system that can be read",
                "error: nothing is admitted, because the audit log cannot be written to the disk",
                "  capacity     8388608 bytes",
            ],
        );
        assert!(
            !session.output.contains("loaded tiny"),
            "{}",
            session.output
        );
    }
}

#[test]
fn a_file_system_that_is_damaged_leaves_the_store() {
    let image = image();
    image.add(&[&format!("tales={TINY}")]);
    let mut bytes = std::fs::read(image.path()).unwrap();
    // Both tables of the file system and all of its folders, by changing a byte in each of the first sectors.
    let begin = 2048 * 512 + 4 * 512;
    for sector in bytes[begin..begin + 64 * 512].chunks_mut(512) {
        sector.fill(0xa5);
    }
    std::fs::write(image.path(), bytes).unwrap();
    let session = session_with(
        &image,
        format!(
            "{ADMIN}llmctl models\nllmctl load disk/tales\nllmctl load tiny\nllminfer hello --max-tokens 3\n"
        ),
    );
    has(
        &session,
        &["  tiny (1163008 bytes", "loaded tiny:", "[3 tokens"],
    );
    assert!(
        !session.output.contains("loaded disk/"),
        "{}",
        session.output
    );
}

#[test]
fn an_adapter_that_was_made_here_comes_back_from_the_disk_after_a_reboot() {
    let image = image();
    let infer = |name: &str| {
        format!("llminfer \"Tom won. Tom felt\" --max-tokens 8 --temperature 0 --adapter {name}\n")
    };
    let first = session_with(
        &image,
        format!(
            "{ADMIN}llmfinetune --example \"Tom won. Tom felt\" --answer \" sad.\"\n\
             llmfinetune examples --adapter moods --rank 1 --epochs 2 --rate 1e-2\n{}",
            infer("moods")
        ),
    );
    has(
        &first,
        &[
            "made the adapter moods: 2 steps, ",
            "the next boot has it as disk/moods",
        ],
    );
    let second = session_with(
        &image,
        format!(
            "{ADMIN}llmctl adapters\nllmctl adapter load disk/moods\n{}llmctl audit verify\n",
            infer("disk/moods")
        ),
    );
    has(
        &second,
        &[
            "  disk/moods (",
            "signed, not checked yet)",
            "loaded disk/moods: rank 1",
            "are unbroken",
        ],
    );
    let text = |session: &Session| {
        let said = session.output.rsplit_once(" tokens/s, first after ");
        let said = said.and_then(|(before, _)| before.rsplit_once("\n["));
        let (said, _) = said.unwrap_or_else(|| panic!("no text: {}", session.output));
        said.lines().last().map(str::to_owned)
    };
    assert_eq!(text(&first), text(&second));
    image.tool("check", &[]);
}
