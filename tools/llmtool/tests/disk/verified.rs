//! `llmtool disk check --policy` refuses what a device would refuse.

use std::fs;

use super::tool::{TINY, failure, llmtool, output};
use super::{folder, small, text};

#[test]
fn a_check_with_a_policy_names_each_file_that_the_device_would_refuse() {
    let folder = folder("verified");
    let [policy, device, other] = ["policy.toml", "device", "other"].map(|name| folder.join(name));
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policy.toml");
    fs::copy(template, &policy).unwrap();
    let [device_key, _] = [&device, &other].map(|name| {
        output(&["keygen", text(name)]);
        format!("{}.pub.pem", text(name))
    });
    let image = small("verified.img", "1MiB");
    output(&["disk", "add", &image, &format!("good={TINY}")]);
    let with_policy = ["disk", "check", &image, "--policy", text(&policy)];
    output(&with_policy);

    let flipped = folder.join("flipped.gguf");
    let mut bytes = fs::read(TINY).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&flipped, bytes).unwrap();
    fs::copy(format!("{TINY}.sig"), folder.join("flipped.gguf.sig")).unwrap();
    output(&["disk", "add", &image, text(&flipped)]);
    let tales = folder.join("tales.txt");
    fs::write(&tales, "Once.").unwrap();
    let sign = |name: &str| {
        let secret = format!("{}.key.pem", text(&folder.join(name)));
        output(&["sign", "--key", &secret, text(&tales)]);
    };
    sign("other");
    output(&["disk", "add", &image, text(&tales)]);
    // As the device signs an adapter that it has made; the key counts for nothing else.
    sign("device");
    let beside = folder.join("tales.txt.sig");
    for (file, path) in [
        (&tales, "adapters/own.gguf"),
        (&beside, "adapters/own.gguf.sig"),
        (&tales, "data/own.txt"),
        (&beside, "data/own.txt.sig"),
        (&tales, "data/unsigned.txt"),
    ] {
        let _ = fs::remove_file(folder.join("alone"));
        let alone = folder.join("alone");
        fs::copy(file, &alone).unwrap();
        output(&["disk", "add", &image, text(&alone), "--as", path]);
    }

    let check = |arguments: &[&str]| {
        let arguments = [&["disk", "check", &image], arguments].concat();
        let assert = llmtool(&arguments).assert().code(1);
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    // Without a policy, only the one without a signature is known.
    let said = check(&[]);
    let unsigned =
        "data/unsigned.txt: not signed, so audit refuses it; sign it with 'llmtool sign'";
    assert!(
        said.contains(unsigned) && !said.contains("by none"),
        "{said}"
    );
    let refused = |said: &str| -> Vec<String> {
        let lines = said.lines().filter(|line| {
            line.contains("by none of the keys") && line.contains("copy it again from its source")
        });
        lines
            .map(|line| line.split(':').next().unwrap().to_owned())
            .collect()
    };
    let said = check(&["--policy", text(&policy)]);
    assert!(said.contains(unsigned), "{said}");
    let expected = [
        "adapters/own.gguf",
        "data/own.txt",
        "data/tales.txt",
        "flipped.gguf",
    ];
    assert_eq!(refused(&said), expected);
    let said = check(&["--policy", text(&policy), "--device-key", &device_key]);
    assert_eq!(refused(&said), expected[1..]);
    let said = failure(&["disk", "check", &image, "--device-key", &device_key], 2);
    assert!(said.contains("--policy"), "{said}");
}
