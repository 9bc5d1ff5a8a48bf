//! Adapters and training data in the store.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use llm_core::hash::sha256;
use llm_core::quantize::TensorType;
use llm_core::testing::GgufWriter;
use llmtool::keys;
use protocol::armour;
use protocol::hash::Hex;
use protocol::name::ModelName;
use protocol::store::{Content, Store};
use protocol::wire::client::Exported;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-f32.gguf");

fn llmtool(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("llmtool");
    command.args(arguments);
    command
}

fn failure(arguments: &[&str]) -> String {
    let assert = llmtool(arguments).assert().code(1);
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Columns and rows of the queries of `tiny-f32.gguf`.
fn shape_of_queries() -> [usize; 2] {
    let file = fs::read(TINY).unwrap();
    let gguf = llm_core::gguf::Gguf::parse(&file).unwrap();
    let queries = gguf
        .tensors()
        .find(|tensor| tensor.name == "blk.0.attn_q.weight");
    let queries = queries.unwrap();
    [queries.columns() as usize, queries.rows() as usize]
}

/// An adapter of rank 2 for the first block's queries, which have this shape.
fn adapter([columns, rows]: [usize; 2]) -> Vec<u8> {
    let mut writer = GgufWriter::default();
    writer
        .str("general.type", "adapter")
        .str("general.architecture", "llama")
        .str("adapter.type", "lora")
        .f32("adapter.lora.alpha", 4.0);
    for (half, dims) in [("lora_a", [columns, 2]), ("lora_b", [2, rows])] {
        let name = format!("blk.0.attn_q.weight.{half}");
        let values: Vec<f32> = (0..dims[0] * dims[1]).map(|i| i as f32 / 1e4).collect();
        writer.tensor(&name, TensorType::F32, &dims, &values);
    }
    writer.finish()
}

#[test]
fn adapters_and_data_are_packed_where_audit_looks_for_them() {
    let folder = folder("packing");
    let [good, examples, tales, store] =
        ["moral.gguf", "feelings.jsonl", "tales.txt", "store.tar"].map(|name| folder.join(name));
    fs::write(&good, adapter(shape_of_queries())).unwrap();
    fs::write(&examples, "{\"prompt\": \"a\", \"answer\": \"b\"}\n").unwrap();
    fs::write(&tales, "Once.\n\nTwice.\n").unwrap();
    let key = folder.join("key");
    llmtool(&["keygen", text(&key)]).assert().success();
    let model = folder.join("tiny.gguf");
    fs::copy(TINY, &model).unwrap();
    let secret = folder.join("key.key.pem");
    let files = [text(&model), text(&good), text(&examples), text(&tales)];
    let mut sign = vec!["sign", "--key", text(&secret)];
    sign.extend(files);
    llmtool(&sign).assert().success();

    let mut pack = vec!["pack", "-o", text(&store)];
    pack.extend(files);
    let assert = llmtool(&pack).assert().success();
    let said = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(
        said.contains("moral (adapter)") && said.contains("feelings (data)"),
        "{said}"
    );
    let archive = fs::read(&store).unwrap();
    let store_read = Store::new(&archive);
    for (content, name, path) in [
        (Content::Model, "tiny", &model),
        (Content::Adapter, "moral", &good),
        (Content::Data, "feelings", &examples),
        (Content::Data, "tales", &tales),
    ] {
        let item = store_read.find_item(content, name).unwrap();
        assert_eq!(item.file.data, fs::read(path).unwrap(), "{name}");
        let mut signature = path.as_os_str().to_os_string();
        signature.push(".sig");
        assert_eq!(&item.signature.unwrap()[..], fs::read(signature).unwrap());
    }
    // A model and an adapter may share a name; two adapters may not.
    let twice = format!("tiny={}", text(&good));
    llmtool(&["pack", "-o", text(&store), text(&model), &twice])
        .assert()
        .success();
    let message = failure(&["pack", "-o", text(&store), text(&good), text(&good)]);
    assert!(
        message.contains("two files would be called moral"),
        "{message}"
    );
}

#[test]
fn what_no_model_of_the_store_can_have_or_is_no_example_is_not_packed_and_not_signed() {
    let folder = folder("not-packing");
    let store = folder.join("store.tar");
    let [columns, rows] = shape_of_queries();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let other = write("other.gguf", &adapter([columns, rows + 1]));
    let pack = ["pack", "--unsigned", "-o", text(&store), TINY];
    let refused = |path: &Path| failure(&[&pack[..], &[text(path)]].concat());
    let message = refused(&other);
    assert!(
        message.contains("other.gguf") && message.contains(&rows.to_string()),
        "{message}"
    );
    // Without a model there is nothing to compare it with.
    llmtool(&["pack", "--unsigned", "-o", text(&store), text(&other)])
        .assert()
        .success();

    let sound = adapter([columns, rows]);
    let cut = write("cut.gguf", &sound[..sound.len() - 8]);
    let broken = write("broken.jsonl", b"{\"text\": \"a\"}\n{\"text\"\n");
    let empty = write("empty.txt", b" \n");
    let key = folder.join("key");
    llmtool(&["keygen", text(&key)]).assert().success();
    let secret = folder.join("key.key.pem");
    for (path, words) in [
        (&cut, "cut.gguf"),
        (&broken, "line 2"),
        (&empty, "no example"),
    ] {
        for message in [
            refused(path),
            failure(&["sign", "--key", text(&secret), text(path)]),
        ] {
            assert!(message.contains(words), "{message}");
        }
    }
    let typed = write("examples.txt", b"a");
    let message = refused(&typed);
    assert!(message.contains("typed at a console"), "{message}");
}

#[test]
fn what_the_device_has_made_counts_on_adapters_alone() {
    let folder = folder("device-trust");
    let [store, made, data] = ["store.tar", "made.gguf", "data.txt"].map(|name| folder.join(name));
    fs::write(&made, adapter(shape_of_queries())).unwrap();
    fs::write(&data, "a").unwrap();
    let key = folder.join("device");
    llmtool(&["keygen", "--device", text(&key)])
        .assert()
        .success();
    let [secret, public] = ["device.key.pem", "device.pub.pem"].map(|name| folder.join(name));
    llmtool(&["sign", "--key", text(&secret), text(&made), text(&data)])
        .assert()
        .success();
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policy.toml");
    let pack = ["pack", "-o", text(&store), "--policy", policy];
    let message = failure(&[&pack[..], &[text(&made)]].concat());
    assert!(message.contains("by none of the keys"), "{message}");
    for key in [&secret, &public] {
        let with = [&pack[..], &["--device-key", text(key)]].concat();
        let assert = llmtool(&[&with[..], &[text(&made)]].concat())
            .assert()
            .success();
        let said = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
        assert!(said.contains("signed by the device"), "{said}");
        let message = failure(&[&with[..], &[text(&data)]].concat());
        assert!(message.contains("by none of the keys"), "{message}");
    }
}

/// The console's output of an export, among other output.
fn console(file: &[u8], secret: &Path) -> String {
    let key = keys::read_secret(secret).unwrap();
    let digest = sha256(file);
    let exported = Exported {
        name: ModelName::new("moral").unwrap(),
        file_bytes: file.len() as u64,
        sha256: digest,
        base_sha256: [7; 32],
        signature: keys::sign(&key, &digest),
    };
    let mut text = format!("llm> llmctl adapter export moral\r\n{}\r\n", armour::BEGIN);
    for line in file.chunks(armour::LINE_BYTES) {
        text.push_str(&base64(line));
        text.push_str("\r\n");
    }
    let closing = armour::Closing(&exported).to_string().replace('\n', "\r\n");
    format!("{text}{closing}\r\n{}\r\nllm> ", armour::END)
}

/// Base64 as in RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| {
            bits << 8 | u32::from(group.get(i).copied().unwrap_or(0))
        });
        for letter in 0..4 {
            let index = bits >> (18 - 6 * letter) & 63;
            text.push(match letter <= group.len() {
                true => char::from(LETTERS[index as usize]),
                false => '=',
            });
        }
    }
    text
}

#[test]
fn an_adapter_comes_out_of_a_console_log_and_goes_into_a_store() {
    let folder = folder("import");
    let [log, out, store] =
        ["console.log", "moral.gguf", "store.tar"].map(|name| folder.join(name));
    for name in ["device", "other"] {
        let name = folder.join(name);
        llmtool(&["keygen", text(&name)]).assert().success();
    }
    let file = adapter(shape_of_queries());
    fs::write(&log, console(&file, &folder.join("device.key.pem"))).unwrap();
    let public = folder.join("device.pub.pem");
    let import = ["adapter", "import", text(&log), "-o", text(&out)];
    let said = |arguments: &[&str]| {
        let assert = llmtool(arguments).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let told = said(&[&import[..], &["--key", text(&public)]].concat());
    for part in [
        "the adapter 'moral' for llama, rank 2, 1 matrices",
        "signed by the device",
        &Hex(&sha256(&file)).to_string(),
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(fs::read(&out).unwrap(), file);
    said(&["verify", "--key", text(&public), text(&out)]);
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policy.toml");
    let pack = ["pack", "-o", text(&store), "--policy", policy];
    said(&[&pack[..], &["--device-key", text(&public), text(&out)]].concat());
    assert!(said(&import).contains("was not checked"));

    fs::remove_file(&out).unwrap();
    let other = folder.join("other.pub.pem");
    let message = failure(&[&import[..], &["--key", text(&other)]].concat());
    assert!(message.contains("not by this key"), "{message}");
    let message = failure(&[&import[..], &["--name", "feelings"]].concat());
    assert!(message.contains("found: 'moral'"), "{message}");
    let spoilt = fs::read_to_string(&log)
        .unwrap()
        .replace("AAAAAAAA", "AAAAAAAB");
    fs::write(&log, spoilt).unwrap();
    let message = failure(&import);
    assert!(message.contains("the capture has changed it"), "{message}");
    // A complete export of something that is not an adapter.
    fs::write(
        &log,
        console(b"GGUF, or not", &folder.join("device.key.pem")),
    )
    .unwrap();
    let message = failure(&import);
    assert!(message.contains("console.log"), "{message}");
    assert!(!out.exists(), "nothing was written");
}
