//! Keys, passphrases and signatures.

use super::*;

#[test]
fn a_passphrase_becomes_a_line_for_the_policy() {
    let hash = |passphrase: &str, options: &[&str]| {
        let mut arguments = vec!["passphrase"];
        arguments.extend(options);
        llmtool(&arguments)
            .write_stdin(passphrase.to_owned())
            .assert()
    };
    let made = hash("correct horse\n", &["--memory-kib", "64", "--passes", "1"]).success();
    let line = String::from_utf8(made.get_output().stdout.clone()).unwrap();
    let phc = line.trim().strip_prefix("passphrase = \"").unwrap();
    let phc = phc.strip_suffix('"').unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{line}");
    let parsed = llmtool::passphrase::parse(phc).unwrap();
    assert!(llmtool::passphrase::matches(&parsed, b"correct horse"));

    let folder = folder("passphrase");
    let path = folder.join("policy.toml");
    let shipped = shipped();
    let old = shipped
        .lines()
        .find(|line| line.starts_with("passphrase"))
        .unwrap();
    fs::write(&path, shipped.replace(old, line.trim())).unwrap();
    let assert = llmtool(&["policy", text(&path)]).assert().success();
    // Nobody is warned of a passphrase that is not the shipped one.
    assert!(assert.get_output().stderr.is_empty());

    hash("", &[]).code(1);
    hash("x\n", &["--memory-kib", "513"]).code(2);
    hash("x\n", &["--passes", "0"]).code(2);
}

#[test]
fn keys_sign_models_and_nobody_else_reads_or_overwrites_them() {
    let folder = folder("keys");
    let (name, model) = (folder.join("mine"), folder.join("model.gguf"));
    let (secret, public) = (folder.join("mine.key.pem"), folder.join("mine.pub.pem"));
    let made = output(&["keygen", text(&name)]);
    let mode = fs::metadata(&secret).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let message = failure(&["keygen", text(&name)]);
    assert!(message.contains("cannot write"), "{message}");
    fs::remove_file(&public).unwrap();
    let before = fs::read(&secret).unwrap();
    failure(&["keygen", text(&name)]);
    assert!(
        fs::read(&secret).unwrap() == before,
        "the secret key is kept"
    );
    assert!(!public.exists());

    let digits = made.split('"').nth(1).unwrap();
    let policy = folder.join("policy.toml");
    let by_hex = shipped().replace(&shipped_key(), &format!("ed25519 = \"{digits}\""));
    fs::write(&policy, by_hex).unwrap();
    fs::copy(TINY, &model).unwrap();
    let verify =
        |model: &Path| llmtool(&["verify", "--policy", text(&policy), text(model)]).assert();
    let said = |assert: assert_cmd::assert::Assert| {
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let unsigned = said(verify(&model).code(1));
    assert!(
        unsigned.contains("REFUSED: there is no signature"),
        "{unsigned}"
    );
    output(&["sign", "--key", text(&secret), text(&model)]);
    let signature = folder.join("model.gguf.sig");
    assert_eq!(fs::metadata(&signature).unwrap().len(), 64);
    let good = said(verify(&model).success());
    assert!(good.contains("signed by sel4-llm-models"), "{good}");

    // Altered after signing.
    let mut content = fs::read(&model).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&model, content).unwrap();
    let altered = said(verify(&model).code(1));
    assert!(
        altered.contains("REFUSED: the signature is by none"),
        "{altered}"
    );
    fs::copy(TINY, &model).unwrap();
    // By a key that the policy does not trust.
    let other = folder.join("other");
    output(&["keygen", text(&other)]);
    let key = format!("{}.key.pem", other.display());
    output(&["sign", "--key", &key, text(&model)]);
    verify(&model).code(1);
    let public = format!("{}.pub.pem", other.display());
    output(&["verify", "--key", &public, text(&model)]);
    fs::write(&signature, b"short").unwrap();
    let short = said(verify(&model).code(1));
    assert!(short.contains("has 5 bytes, a signature has 64"), "{short}");

    let message = failure(&["sign", "--key", TINY, text(&model)]);
    assert!(message.contains("is not a secret Ed25519 key"), "{message}");
}

#[test]
fn openssl_agrees_on_keys_and_signatures() {
    let folder = folder("openssl");
    let name = folder.join("k");
    output(&["keygen", text(&name)]);
    let model = folder.join("model.gguf");
    fs::copy(TINY, &model).unwrap();
    let [secret, public] =
        [".key.pem", ".pub.pem"].map(|suffix| format!("{}{suffix}", name.display()));
    output(&["sign", "--key", &secret, text(&model)]);
    let digest = folder.join("digest");
    fs::write(&digest, sha256(&fs::read(&model).unwrap())).unwrap();
    let verify = std::process::Command::new("openssl")
        .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", &public])
        .args(["-in", text(&digest)])
        .args(["-sigfile", &format!("{}.sig", model.display())])
        .output();
    match verify {
        Ok(verified) => assert!(verified.status.success(), "{verified:?}"),
        Err(error) => eprintln!("skipped: no openssl ({error})"),
    }
}

#[test]
fn what_is_not_signed_is_not_packed() {
    let folder = folder("pack");
    let (model, store) = (folder.join("m.gguf"), folder.join("store.tar"));
    fs::copy(TINY, &model).unwrap();
    let message = failure(&["pack", "-o", text(&store), text(&model)]);
    assert!(message.contains("there is no signature"), "{message}");
    assert!(!store.exists());
    let listed = output(&["pack", "-o", text(&store), text(&model), "--unsigned"]);
    assert!(listed.contains("not signed"), "{listed}");

    let policy = format!("{ROOT}/policy.toml");
    fs::copy(format!("{TINY}.sig"), folder.join("m.gguf.sig")).unwrap();
    let listed = output(&[
        "pack",
        "-o",
        text(&store),
        text(&model),
        "--policy",
        &policy,
    ]);
    assert!(listed.contains("signed by sel4-llm-models"), "{listed}");
    let archive = fs::read(&store).unwrap();
    let found = protocol::store::Store::new(&archive).find("m").unwrap();
    let signature = fs::read(format!("{TINY}.sig")).unwrap();
    assert_eq!(found.signature.unwrap()[..], signature[..]);

    fs::write(folder.join("m.gguf.sig"), [7; 64]).unwrap();
    let message = failure(&[
        "pack",
        "-o",
        text(&store),
        text(&model),
        "--policy",
        &policy,
    ]);
    assert!(message.contains("by none of the keys"), "{message}");
}

#[test]
fn the_shipped_models_are_signed_and_bit_flips_all_over_the_default_one_are_found() {
    let keys_of = |policy: &str| {
        let path = format!("{ROOT}/{policy}");
        let policy = llmtool::policy::compile(Path::new(&path), With::default());
        policy.unwrap().trusted_keys()
    };
    let keys = keys_of("policy.toml");
    let signer = |digest, signature: &[u8; 64]| {
        let keys = keys.iter().map(|(name, key)| (name.as_str(), key));
        keys::signer(keys, &digest, signature)
    };
    // The main system trusts no model of the example's, and the example trusts the main system's, too.
    let of_example = keys_of("examples/triage/policy.toml");
    for (name, by, in_example) in [
        ("default", Some("sel4-llm-models"), "sel4-llm-models"),
        ("tiny-f32", Some("sel4-llm-models"), "sel4-llm-models"),
        ("triage", None, "sel4-llm-triage"),
    ] {
        let path = PathBuf::from(format!("{ROOT}/models/{name}.gguf"));
        let digest = sha256(&fs::read(&path).unwrap());
        let signature = keys::read_signature(&path).unwrap();
        assert_eq!(signer(digest, &signature), by, "{name}");
        let keys = of_example.iter().map(|(name, key)| (name.as_str(), key));
        assert_eq!(
            keys::signer(keys, &digest, &signature),
            Some(in_example),
            "{name}"
        );
    }
    let path = PathBuf::from(format!("{ROOT}/models/default.gguf"));
    let mut file = fs::read(&path).unwrap();
    let signature = keys::read_signature(&path).unwrap();
    // Every bit of the header's first fields, and 200 all over the file.
    let step = 8 * file.len() / 200 - 1;
    let bits = (0..64).chain((64..8 * file.len()).step_by(step));
    for bit in bits {
        file[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(signer(sha256(&file), &signature), None, "bit {bit}");
        file[bit / 8] ^= 1 << (bit % 8);
    }
    let digest = sha256(&file);
    for bit in 0..512 {
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(signer(digest, &changed), None, "bit {bit} of the signature");
    }
}
