//! Runs `llmtool quantize` and `imatrix` as a person does.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use llm_core::gguf::Gguf;
use llm_core::testing::{self, Shape};
use llmtool::imatrix::Imatrix;

mod tool;

use tool::{DEFAULT, TINY, failure, fresh, llmtool, output};

#[test]
fn quantized_files_run_and_turn_into_f32_without_loss() {
    for ty in ["q8_0", "q4_0", "f16"] {
        let (small, wide, again) = (
            fresh(&format!("{ty}.gguf")),
            fresh(&format!("{ty}-f32.gguf")),
            fresh(&format!("{ty}-again.gguf")),
        );
        output(&["quantize", TINY, &small, ty, "--pure"]);
        assert!(fs::metadata(&small).unwrap().len() < fs::metadata(TINY).unwrap().len());
        output(&["generate", "-m", &small, "-p", "The king", "-n", "4"]);
        output(&["quantize", "-m", &small, "-o", &wide, "--type", "f32"]);
        output(&["quantize", &wide, &again, ty, "--pure"]);
        if ty != "q4_0" {
            // Q4_0 derives its scale from a value that it may then store inexactly.
            assert!(
                fs::read(&small).unwrap() == fs::read(&again).unwrap(),
                "{ty}"
            );
        }
        let inspected = output(&["inspect", &wide, "--metadata"]);
        assert!(!inspected.contains("general.quantization_version"));
    }
    let same = fresh("same.gguf");
    output(&["quantize", TINY, &same, "--type", "f32"]);
    assert!(fs::read(TINY).unwrap() == fs::read(same).unwrap());
}

/// A model whose rows are not whole blocks of 256.
fn narrow() -> Vec<u8> {
    testing::model(Shape {
        width: 96,
        heads: 3,
        kv_heads: 3,
        feed_forward: 256,
        ..Shape::default()
    })
    .finish()
}

#[test]
fn rows_that_are_no_whole_blocks_fall_back_and_it_is_said() {
    let (narrow_file, out) = (fresh("narrow.gguf"), fresh("narrow-q4_k.gguf"));
    fs::write(&narrow_file, narrow()).unwrap();
    let said = output(&["quantize", &narrow_file, &out, "Q4_K_S", "--pure"]);
    assert!(said.contains("no whole number of blocks of 256"), "{said}");
    assert!(
        said.contains("Q5_0 in place of Q4_K (rows of 96)"),
        "{said}"
    );
    let tensors = output(&["inspect", &out, "--tensors"]);
    for (name, ty) in [
        ("blk.0.attn_q.weight", "Q5_0"),
        ("blk.0.ffn_down.weight", "Q4_K"),
    ] {
        let line = tensors.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains(ty)), "{tensors}");
    }
    // It also reports what had been quantised before, unless the caller knows.
    let again = fresh("narrow-again.gguf");
    let warned = |options: &[&str]| {
        let mut command = vec!["quantize", &out, &again, "Q8_0"];
        command.extend(options);
        let assert = llmtool(&command).assert().success();
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    };
    assert!(warned(&[]).contains("have been quantised before"));
    assert_eq!(warned(&["--allow-requantize"]), "");
}

#[test]
fn a_file_that_is_read_is_not_written_over() {
    let (model, link) = (fresh("precious.gguf"), fresh("link.gguf"));
    fs::copy(TINY, &model).unwrap();
    std::os::unix::fs::symlink(&model, &link).unwrap();
    for out in [&model, &link] {
        let message = failure(&["quantize", "-m", &model, "-o", out, "--type", "q8_0"], 1);
        assert!(message.contains("is also an input"), "{message}");
        let message = failure(&["pack", &model, "-o", out, "--unsigned"], 1);
        assert!(message.contains("is also an input"), "{message}");
    }
    assert!(fs::read(&model).unwrap() == fs::read(TINY).unwrap());
    let text = fresh("precious.txt");
    fs::write(&text, "Once upon a time ".repeat(40)).unwrap();
    let imatrix = ["imatrix", "-m", TINY, "-f", &text, "-o", &text, "-c", "16"];
    let message = failure(&imatrix, 1);
    assert!(message.contains("is also an input"), "{message}");
}

#[test]
fn an_output_that_is_a_link_or_no_regular_file_stays_what_it_is() {
    let (target, link) = (fresh("target.gguf"), fresh("to-target.gguf"));
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    output(&["quantize", "-m", TINY, "-o", &link, "--type", "q8_0"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&target).unwrap().starts_with(b"GGUF"));
    // A pipe receives the bytes; it is not replaced by a file.
    let pipe = fresh("pipe.gguf");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    output(&["quantize", "-m", TINY, "-o", &pipe, "--type", "q8_0"]);
    assert!(reader.join().unwrap() == fs::read(&target).unwrap());
    assert!(!fs::metadata(&pipe).unwrap().is_file());
}

/// Only links that it made itself are removed.
#[test]
fn a_system_is_not_written_over_models() {
    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("own-system");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let at = |name: &str| folder.join(name).into_os_string().into_string().unwrap();
    let (inside, other) = (at("m.gguf"), at("y.gguf"));
    fs::copy(TINY, &inside).unwrap();
    fs::write(&other, "somebody's").unwrap();
    let run = |model: &str| {
        let mut command = llmtool(&["system", model, "-o", folder.to_str().unwrap()]);
        let assert = command.current_dir(ROOT).assert().code(1);
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    };
    let outside = format!("y={TINY}");
    for (model, named) in [(inside.as_str(), &inside), (outside.as_str(), &other)] {
        let message = run(model);
        assert!(
            message.contains("lies in the folder") && message.contains(named),
            "{message}"
        );
    }
    let twice = [
        "system",
        &outside,
        &format!("y={DEFAULT}"),
        "-o",
        folder.to_str().unwrap(),
    ];
    let mut command = llmtool(&twice);
    let assert = command.current_dir(ROOT).assert().code(1);
    let message = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(message.contains("two files would be called y"), "{message}");
    assert!(fs::read(&inside).unwrap() == fs::read(TINY).unwrap());
    assert_eq!(fs::read(&other).unwrap(), b"somebody's");
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        2,
        "nothing was written"
    );
}

#[test]
fn perplexity_of_nothing_is_refused() {
    let text = fresh("measured.txt");
    fs::write(&text, "Once upon a time ".repeat(40)).unwrap();
    for options in [["-c", "2"], ["--chunks", "0"]] {
        let mut command = vec!["perplexity", "-m", TINY, "-f", &text];
        command.extend(options);
        let message = failure(&command, 1);
        assert!(message.contains("no token counts"), "{message}");
    }
}

#[test]
fn a_model_that_cannot_run_is_refused_before_anything_is_written() {
    let (model, out) = (fresh("strange.gguf"), fresh("strange-out"));
    let mut writer = testing::model(Shape::default());
    writer.u32("llama.some_new_thing", 7);
    fs::write(&model, writer.finish()).unwrap();
    let key = fresh("strange-key");
    let _ = fs::remove_file(format!("{key}.key.pem"));
    let _ = fs::remove_file(format!("{key}.pub.pem"));
    output(&["keygen", &key]);
    let key = format!("{key}.key.pem");
    let signature = format!("{model}.sig");
    let _ = fs::remove_file(&signature);
    for arguments in [
        &["quantize", &model, &out, "Q8_0"][..],
        &["pack", &model, "-o", &out, "--unsigned"],
        &["sign", "--key", &key, &model],
    ] {
        let message = failure(arguments, 1);
        assert!(message.contains("llama.some_new_thing"), "{message}");
        assert!(message.contains(&model), "{message}");
    }
    assert!(fs::metadata(&out).is_err() && fs::metadata(&signature).is_err());
    output(&["sign", "--key", &key, &model, "--force"]);
    assert!(fs::metadata(&signature).is_ok());
    // The contents are shown, and that the model does not run.
    let assert = llmtool(&["inspect", &model]).assert().code(1);
    let shown = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(
        shown.contains("cannot run") && shown.contains("architecture  llama"),
        "{shown}"
    );
}

#[test]
fn an_importance_matrix_is_made_read_and_changes_what_is_quantised() {
    let text = fresh("calibration.txt");
    fs::write(&text, "Once upon a time there was a king. ".repeat(40)).unwrap();
    let imatrix = fresh("tiny.imatrix.gguf");
    let said = output(&[
        "imatrix", "-m", TINY, "-f", &text, "-o", &imatrix, "-c", "64",
    ]);
    assert!(said.contains("chunks of 64 tokens"), "{said}");
    let read = Imatrix::read(imatrix.as_ref()).unwrap();
    assert!(!read.is_empty() && read.of("token_embd.weight").is_none());
    let columns = read.of("blk.0.attn_q.weight").unwrap();
    assert!(columns.iter().all(|&mean| mean > 0.0));
    // Queries, keys and values are multiplied by the same vectors.
    assert_eq!(Some(columns), read.of("blk.0.attn_v.weight"));

    // A combined matrix of queries, keys and values is seen once per token, and the output matrix only on request.
    let shape = Shape {
        tied: false,
        ..Shape::default()
    };
    for (name, file, tensor) in [
        ("fused", testing::gpt2(shape), "blk.1.attn_qkv.weight"),
        ("untied", testing::model(shape), "output.weight"),
    ] {
        let (other, written) = (fresh(&format!("{name}.gguf")), fresh(&format!("{name}.im")));
        fs::write(&other, file.finish()).unwrap();
        let mut command = vec!["imatrix", &other, "-f", &text, "-o", &written, "-c", "32"];
        let option = ["--process-output", "--chunks", "3"];
        command.extend(option);
        output(&command);
        let bytes = fs::read(&written).unwrap();
        let gguf = Gguf::parse(&bytes).unwrap();
        let count = gguf.tensor(&format!("{tensor}.counts")).unwrap();
        assert_eq!(count.data, 96.0f32.to_le_bytes(), "{name}");
    }

    let (plain, better) = (fresh("without.gguf"), fresh("with.gguf"));
    output(&["quantize", TINY, &plain, "Q4_0"]);
    let said = output(&["quantize", TINY, &better, "Q4_0", "--imatrix", &imatrix]);
    assert!(said.contains("not in the importance matrix"), "{said}");
    assert_eq!(
        fs::metadata(&plain).unwrap().len().div_ceil(4096),
        fs::metadata(&better).unwrap().len().div_ceil(4096)
    );
    let metadata = output(&["inspect", &better, "--metadata"]);
    assert!(
        metadata.contains("quantize.imatrix.chunks_count"),
        "{metadata}"
    );
    let divergence = |model: &str| -> f64 {
        let command = [
            "perplexity",
            model,
            "-f",
            &text,
            "-c",
            "64",
            "--against",
            TINY,
        ];
        let line = output(&command);
        line.split_whitespace().nth(3).unwrap().parse().unwrap()
    };
    assert!(divergence(&better) < divergence(&plain));

    for (content, part) in [
        (b"\x07\0\0\0old".to_vec(), "old .dat format"),
        (fs::read(TINY).unwrap(), "not an importance matrix"),
    ] {
        let wrong = fresh("wrong.imatrix");
        fs::write(&wrong, content).unwrap();
        let message = failure(&["quantize", TINY, &plain, "Q4_0", "--imatrix", &wrong], 1);
        assert!(
            message.contains(part) && message.contains(&wrong),
            "{message}"
        );
    }
}

#[test]
fn recipes_and_fitting_choose_types() {
    let (mixed, fitted) = (fresh("mixed.gguf"), fresh("fitted.gguf"));
    let model = DEFAULT;
    output(&[
        "quantize",
        model,
        &mixed,
        "--recipe",
        "ffn_down=q6_k,*=q4_k",
    ]);
    let tensors = output(&["inspect", &mixed, "--tensors"]);
    for (name, ty) in [
        ("blk.0.ffn_down.weight", "Q6_K"),
        ("blk.0.ffn_up.weight", "Q4_K"),
    ] {
        let line = tensors.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.contains(ty), "{line}");
    }
    let message = failure(
        &["quantize", model, &mixed, "--recipe", "ffn=q4_k,*=q4_k"],
        2,
    );
    assert!(message.contains("no kind 'ffn'"), "{message}");

    for arena in ["4MiB", "5MiB"] {
        let table = output(&["quantize", model, &fitted, "--fit", arena]);
        assert!(
            table.contains("ffn_down") && table.contains("KV cache"),
            "{table}"
        );
        let inspected = output(&["inspect", &fitted, "--arena", arena]);
        assert!(
            inspected.contains("runs          in an arena"),
            "{inspected}"
        );
    }
    let message = failure(&["quantize", model, &fitted, "--fit", "1MiB"], 1);
    assert!(message.contains("in the smallest types"), "{message}");
}
