//! Policies, passphrases, keys and signatures, as a person handles them.

#[path = "trust/signatures.rs"]
mod signatures;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use llm_core::hash::sha256;
use llmtool::keys;
use llmtool::policy::With;
use protocol::hash::Hex;
use protocol::policy::{LogFailure, LogWrite, POLICY_REGION_BYTES, Permission, Policy};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const SYSTEM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../system.xml");
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-f32.gguf");

fn llmtool(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("llmtool");
    command.args(arguments);
    command
}

/// Runs what should work and returns what it prints.
fn output(arguments: &[&str]) -> String {
    let assert = llmtool(arguments).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// Runs what should fail and returns its message.
fn failure(arguments: &[&str]) -> String {
    let assert = llmtool(arguments).assert().code(1);
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// An empty folder.
fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn shipped() -> String {
    fs::read_to_string(format!("{ROOT}/policy.toml")).unwrap()
}

/// The line of the shipped policy that has the key of the shipped models.
fn shipped_key() -> String {
    let policy = shipped();
    let key = policy.lines().find(|line| line.starts_with("ed25519 ="));
    key.expect("a key").to_owned()
}

#[test]
fn the_shipped_policy_is_what_the_audit_domain_reads() {
    let folder = folder("shipped");
    let (source, image) = (format!("{ROOT}/policy.toml"), folder.join("policy.bin"));
    let arguments = ["policy", &source, "--system", SYSTEM, "-o", text(&image)];
    let assert = llmtool(&arguments).assert().success();
    let warning = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        warning.contains("the passphrase of 'admin' is the one that everybody knows"),
        "{warning}"
    );
    let image = fs::read(image).unwrap();
    assert_eq!(image.len(), POLICY_REGION_BYTES);
    let policy = Policy::read(&image).unwrap();
    let users: Vec<&str> = policy.users().iter().map(|u| u.name.as_str()).collect();
    assert_eq!(users, ["guest", "admin"]);
    let [guest, admin] = policy.users() else {
        panic!("two users");
    };
    let role = |user: &protocol::policy::User| policy.roles()[user.role as usize];
    let permissions = (role(guest).permissions, role(admin).permissions);
    assert_eq!(permissions, (Permission::Infer as u32, Permission::EVERY));
    assert_eq!(guest.budget_tokens, 20_000);
    assert_eq!(guest.budget_period_us, 3_600_000_000);
    assert_eq!((guest.passphrase.passes, policy.clients[0].user), (0, 0));
    assert!(llmtool::passphrase::matches(&admin.passphrase, b"sel4"));
    assert_eq!(policy.keep_prompts, 0);
    assert_eq!(
        (policy.log_write(), policy.log_on_failure()),
        (LogWrite::Ahead, LogFailure::Refuse)
    );
    assert_eq!(policy.deadline_us, 30_000_000);
    assert_eq!(policy.stop_grace_us, 250_000);

    let [shell] = policy.clients() else {
        panic!("one client");
    };
    assert_eq!((shell.name.as_str(), shell.channel), ("shell", 0));
    assert_eq!(
        (shell.login, shell.requests, shell.sessions, shell.commands),
        (1, 39, 32, 12)
    );

    let words = output(&["policy", &source]);
    for part in [
        "  shell        user guest, until somebody logs in (its channel stands in system.xml)\n",
        "at once 39 requests, 32 sessions, 12 messages",
        "may infer\n",
        "20,000 tokens each 1h",
        "a hostile one leaks at most 59,113,472 bits an hour",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn a_bad_policy_is_refused_with_its_line_and_the_reason() {
    let folder = folder("bad-policies");
    let path = folder.join("policy.toml");
    let (shipped, key) = (shipped(), shipped_key());
    let number = |part: &str| {
        let at = shipped.find(part).unwrap_or_else(|| panic!("{part}"));
        1 + shipped[..at].matches('\n').count()
    };
    for (from, to, reason) in [
        (
            "role = \"reader\"",
            "role = \"writer\"",
            "there is no role 'writer'",
        ),
        (
            "prompts = \"hash\"",
            "default-user = \"gast\"\nprompts = \"hash\"",
            "no default-user any more: each client says which user it is; write [clients.shell] with user = \"gast\" and login",
        ),
        (
            "user = \"guest\"",
            "user = \"gast\"",
            "client 'shell' is user 'gast', who is not in [users]",
        ),
        (
            "user = \"guest\"",
            "user = \"admin\"",
            "client 'shell' is user 'admin', who has a passphrase, which nobody can give for a client",
        ),
        (
            "budget = 20_000",
            "bugdet = 20_000",
            "unknown field `bugdet`, expected one of",
        ),
        (
            "budget = 20_000",
            "budget = 9_000_000_000_000",
            "budget 9000000000000 is out of range, 0 to 1099511627776",
        ),
        ("budget = 20_000", "budget = -1", "invalid value"),
        ("budget = 20_000", "budget = \"x\"", "invalid type"),
        (
            "period = \"1h\"",
            "period = \"10ms\"",
            "a period of 10ms is out of range, 1s to",
        ),
        (
            "period = \"1h\"",
            "period = \"1 fortnight\"",
            "\"1 fortnight\" is no duration such as",
        ),
        (
            "deadline = \"30s\"",
            "deadline = \"0s\"",
            "shorter than a microsecond",
        ),
        (
            "prompts = \"hash\"",
            "prompts = \"none\"",
            "unknown variant `none`, expected `text` or `hash`",
        ),
        (
            "prompts = \"hash\"",
            "log = { write = \"later\" }\nprompts = \"hash\"",
            "unknown variant `later`, expected `ahead` or `behind`",
        ),
        (
            "prompts = \"hash\"",
            "log = { on-failure = \"stop\" }\nprompts = \"hash\"",
            "unknown variant `stop`, expected `refuse` or `go-on`",
        ),
        ("restarts = 5", "restarts = 0", "restarts 0 is out of range"),
        (
            "egress-burst-bytes = 16384",
            "egress-burst-bytes = 100",
            "egress-burst-bytes 100 is out of range, 1024 to",
        ),
        (
            "longest-delay = \"60s\"",
            "longest-delay = \"10ms\"",
            "longest-delay is shorter than delay",
        ),
        (
            "may = [\"infer\"]",
            "may = [\"infer\", \"fly\"]",
            "'fly' is not a permission; the permissions are infer, load,",
        ),
        (
            "may = [\"infer\"]",
            "may = [\"infer\", \"infer\"]",
            "'infer' is listed twice",
        ),
        (
            "max-tokens = 512",
            "max-tokens = 513",
            "max-tokens 513 is out of range, 1 to 512",
        ),
        (
            "max-sessions = 4",
            "max-sessions = 33",
            "max-sessions 33 is out of range, 1 to 32",
        ),
        (
            "log-bytes-per-hour = 262_144",
            "log-bytes-per-hour = 1000",
            "log-bytes-per-hour 1000 is out of range, 65536 to 4294967295",
        ),
        (
            "stop-grace = \"250ms\"",
            "stop-grace = \"1ms\"",
            "a stop-grace of 1ms is too short, at least 10ms are needed",
        ),
        (
            "[users.guest]",
            "[users.\"gu est\"]",
            "'gu est' is not a valid name for a user",
        ),
        ("[users.admin]", "[users.guest]", "duplicate key"),
        ("t=4", "t=9", "passphrase: it takes 9 passes (t), 1 to 4"),
        ("$argon2id$", "$scrypt$", "passphrase: "),
        ("$argon2id$", "argon2id", "passphrase: not a PHC string"),
        ("ed25519 = \"", "ed25519 = \"2", "has 64 hexadecimal digits"),
        (&key, "file = \"nowhere.pem\"", "cannot read "),
        (
            &key,
            "ed25519 = \"0100000000000000000000000000000000000000000000000000000000000000\"",
            "not an Ed25519 public key that can be trusted",
        ),
        ("[login]", "[login", ""),
    ] {
        let line = number(from);
        fs::write(&path, shipped.replacen(from, to, 1)).unwrap();
        let image = folder.join("policy.bin");
        let message = failure(&[
            "policy",
            text(&path),
            "--system",
            SYSTEM,
            "-o",
            text(&image),
        ]);
        let start = format!("llmtool: {}:{line}: ", path.display());
        assert!(message.starts_with(&start), "{to}: {message}");
        assert!(message.contains(reason), "{to}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!image.exists(), "{to}");
    }
}

#[test]
fn what_is_left_out_or_there_too_often_is_named() {
    let folder = folder("counts");
    let path = folder.join("policy.toml");
    let shipped = shipped();
    let refused = |content: &str, reason: &str| {
        fs::write(&path, content).unwrap();
        let message = failure(&["policy", text(&path)]);
        assert!(message.contains(reason), "{message}");
    };
    refused(
        &shipped.replace("stop-grace = \"250ms\"\n", ""),
        "missing field `stop-grace`",
    );
    let mut many = shipped.clone();
    for i in 0..15 {
        many += &format!("[users.u{i}]\nrole = \"reader\"\nbudget = 1\nperiod = \"1s\"\n");
    }
    refused(&many, "17 users, 1 to 16 are allowed");
    let same = format!("\n[keys.again]\n{}\n", shipped_key());
    refused(
        &format!("{shipped}{same}"),
        "key 'again' is the same as 'sel4-llm-models'",
    );
    refused(
        &format!("{shipped}\n[keys.neither]\n"),
        "key 'neither' needs either ed25519",
    );
    let message = failure(&["policy", "/no/such/policy.toml"]);
    assert!(message.contains("cannot read /no/such/policy.toml"));
}

#[test]
fn a_devices_key_goes_into_the_policy_and_nowhere_else() {
    let folder = folder("device");
    let name = folder.join("device");
    let said = output(&["keygen", "--device", text(&name)]);
    assert!(
        said.contains("[device]") && said.contains("key = \"device.key.pem\""),
        "{said}"
    );
    let secret = keys::read_secret(&folder.join("device.key.pem")).unwrap();
    let public = Hex(secret.verifying_key().as_bytes()).to_string();
    let policy = folder.join("policy.toml");
    fs::write(
        &policy,
        format!(
            "{}\n[device]\nkey = \"device.key.pem\"\n",
            shipped().replace("deadline = \"10m\"", "deadline = \"3m\"")
        ),
    )
    .unwrap();
    let words = output(&["policy", text(&policy)]);
    assert!(words.contains(&public) && words.contains("3m"), "{words}");
    let hidden = Hex(secret.as_bytes()).to_string();
    assert!(!words.contains(&hidden), "the secret is printed");

    let image = folder.join("policy.bin");
    output(&[
        "policy",
        text(&policy),
        "--system",
        SYSTEM,
        "-o",
        text(&image),
    ]);
    let mode = fs::metadata(&image).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = fs::read(&image).unwrap();
    let compiled = Policy::read(&bytes).unwrap();
    assert_eq!(compiled.device_key.0, secret.to_bytes());
    assert_eq!(compiled.train_deadline_us, 180_000_000);

    // A key that is given counts more than the one that the policy names, which need not be there.
    fs::remove_file(folder.join("device.pub.pem")).unwrap();
    fs::rename(folder.join("device.key.pem"), folder.join("moved.pem")).unwrap();
    let message = failure(&["policy", text(&policy)]);
    let line = shipped().lines().count() + 3;
    assert!(
        message.contains(&format!("policy.toml:{line}:")) && message.contains("device.key.pem"),
        "{message}"
    );
    let moved = folder.join("moved.pem");
    let words = output(&["policy", text(&policy), "--device-key", text(&moved)]);
    assert!(words.contains(&public), "{words}");
    // Who only verifies needs no secret.
    output(&["verify", "--policy", text(&policy), TINY]);
}

#[test]
fn a_device_without_a_key_or_with_none_worth_the_name_is_told_so() {
    let folder = folder("no-device");
    let policy = folder.join("policy.toml");
    fs::write(&policy, shipped()).unwrap();
    let assert = llmtool(&["policy", text(&policy), "--system", SYSTEM])
        .assert()
        .success();
    let output = assert.get_output();
    let warnings = String::from_utf8_lossy(&output.stderr);
    let line = |needle: &str| {
        1 + shipped()
            .lines()
            .position(|line| line.contains(needle))
            .unwrap()
    };
    assert!(
        warnings.contains(&format!("policy.toml:{}:", line("\"fine-tune\"")))
            && warnings.contains("--device-key"),
        "{warnings}"
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("makes no adapters"));

    // PKCS#8 of 32 zeros.
    let zeros = folder.join("zeros.pem");
    fs::write(
        &zeros,
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    let message = failure(&["policy", text(&policy), "--device-key", text(&zeros)]);
    assert!(message.contains("all zeros"), "{message}");
    let message = failure(&["policy", text(&policy), "--device-key", TINY]);
    assert!(message.contains("is not a secret Ed25519 key"), "{message}");
    let soon = shipped().replace("deadline = \"10m\"", "deadline = \"soon\"");
    fs::write(&policy, soon).unwrap();
    let message = failure(&["policy", text(&policy)]);
    let line = line("deadline = \"10m\"");
    assert!(
        message.contains(&format!("policy.toml:{line}:")),
        "{message}"
    );
}
