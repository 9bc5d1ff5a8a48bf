//! Policies of systems with no client, one and two: what each client gets, and the errors if a policy and a description
//! disagree.

#[path = "clients/descriptions.rs"]
mod descriptions;

use std::fs;
use std::path::PathBuf;

use assert_cmd::cargo::cargo_bin_cmd;
use protocol::limits::{CLIENT_COMMANDS, MAX_REQUESTS, MAX_SESSIONS};
use protocol::policy::Policy;

/// Audit with shell on channel 3 in slot 1, and triage on channel 5 in slot 0; and inference.
const SYSTEM: &str = r#"<system>
    <memory_region name="shell_to_audit" size="0x1000" />
    <memory_region name="audit_to_shell" size="0x1000" />
    <memory_region name="triage_to_audit" size="0x1000" />
    <memory_region name="audit_to_triage" size="0x1000" />
    <protection_domain name="audit" priority="120">
        <program_image path="audit.elf" />
        <map mr="shell_to_audit" vaddr="0x11000000" perms="r" setvar_vaddr="client_1_to_audit" setvar_size="client_1_to_audit_size" />
        <map mr="audit_to_shell" vaddr="0x11100000" setvar_vaddr="audit_to_client_1" setvar_size="audit_to_client_1_size" />
        <map mr="triage_to_audit" vaddr="0x11200000" perms="r" setvar_vaddr="client_0_to_audit" setvar_size="client_0_to_audit_size" />
        <map mr="audit_to_triage" vaddr="0x11300000" setvar_vaddr="audit_to_client_0" setvar_size="audit_to_client_0_size" />
        <protection_domain name="inference" id="0" priority="100"><program_image path="inference.elf" /></protection_domain>
    </protection_domain>
    <protection_domain name="shell" priority="110">
        <program_image path="shell.elf" />
        <map mr="shell_to_audit" vaddr="0x11000000" /><map mr="audit_to_shell" vaddr="0x11100000" perms="r" />
    </protection_domain>
    <protection_domain name="triage" priority="110">
        <program_image path="triage.elf" />
        <map mr="triage_to_audit" vaddr="0x11000000" /><map mr="audit_to_triage" vaddr="0x11100000" perms="r" />
    </protection_domain>
    <channel>
        <end pd="audit" id="3" setvar_id="client_1_channel" />
        <end pd="shell" id="0" />
    </channel>
    <channel>
        <end pd="triage" id="0" />
        <end pd="audit" id="5" setvar_id="client_0_channel" />
    </channel>
    <channel>
        <end pd="audit" id="1" setvar_id="inference_channel" />
        <end pd="inference" id="0" />
    </channel>
</system>
"#;

/// Everything except clients.
const REST: &str = r#"prompts = "hash"

[inference]
deadline = "30s"
stop-grace = "250ms"
restarts = 5
restarts-within = "60s"
egress-bytes-per-second = 2048
egress-burst-bytes = 16384

[login]
delay = "1s"
longest-delay = "60s"

[roles.reader]
may = ["infer"]
max-tokens = 512
max-sessions = 4
log-bytes-per-hour = 262_144

[users.guest]
role = "reader"
budget = 20_000
period = "1h"

[users.triage]
role = "reader"
budget = 5_000
period = "1h"

[users.admin]
role = "reader"
budget = 20_000
period = "1h"
passphrase = "$argon2id$v=19$m=64,t=1,p=1$ufXENwr+lTaDjh5BRWkmGg$9rF6KOh/0ytzpJ1kVB6PnMnHL/dV8yTKZqdWun75gQc"

[keys.sel4-llm-models]
ed25519 = "751614b02b0a456cbc16cc9802241d40e0b1edaa7c17c7dfc56f001bcd0d623e"

"#;

const SHELL: &str = "[clients.shell]\nuser = \"guest\"\nlogin = true\n";
const TRIAGE: &str = "[clients.triage]\nuser = \"triage\"\n";

/// A run of `llmtool policy` with these clients and this description.
struct Run {
    /// The policy that it wrote, if valid.
    policy: Option<Policy>,
    /// Standard error, without the folder of the files.
    said: String,
}

fn run(name: &str, clients: &str, system: &str) -> Run {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("clients-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name);
    fs::write(file("policy.toml"), format!("{REST}{clients}")).unwrap();
    fs::write(file("system.xml"), system).unwrap();
    let mut command = cargo_bin_cmd!("llmtool");
    let command = command
        .arg("policy")
        .arg(file("policy.toml"))
        .arg("--system")
        .arg(file("system.xml"))
        .arg("-o")
        .arg(file("policy.bin"));
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let said = said.replace(&format!("{}/", folder.display()), "");
    let policy = fs::read(file("policy.bin")).ok();
    assert_eq!(
        output.status.code(),
        Some(i32::from(policy.is_none())),
        "{said}"
    );
    assert!(output.stdout.is_empty());
    let policy = policy.map(|bytes| Policy::read(&bytes).unwrap());
    Run { policy, said }
}

/// The compiled policy; there must be no warning.
fn compiled(name: &str, clients: &str) -> Policy {
    let Run { policy, said } = run(name, clients, SYSTEM);
    policy.unwrap_or_else(|| panic!("{said}"))
}

/// The message after the file's name, which must be a single line.
fn refused(name: &str, clients: &str, system: &str) -> String {
    let Run { policy, said } = run(name, clients, system);
    assert!(policy.is_none(), "it is not refused");
    let lines: Vec<_> = said
        .lines()
        .filter(|line| !line.starts_with("llmtool: warning"))
        .collect();
    let [line] = lines[..] else {
        panic!("{said}");
    };
    line.strip_prefix("llmtool: ").unwrap().to_owned()
}

/// The number of the policy's line with this prefix.
fn line_of(clients: &str, start: &str) -> usize {
    let text = format!("{REST}{clients}");
    1 + text
        .lines()
        .position(|line| line.starts_with(start))
        .unwrap()
}

#[test]
fn each_client_is_a_user_on_the_channel_that_the_description_gives_it() {
    let policy = compiled("channels", &format!("{SHELL}{TRIAGE}"));
    let clients: Vec<_> = policy
        .clients()
        .iter()
        .map(|client| {
            let user = policy.users()[client.user as usize].name;
            (
                client.name.to_string(),
                client.channel,
                user.to_string(),
                client.login,
            )
        })
        .collect();
    let expected = [("shell", 3, "guest", 1), ("triage", 5, "triage", 0)];
    let expected = expected
        .map(|(name, channel, user, login)| (name.to_owned(), channel, user.to_owned(), login));
    assert_eq!(clients, expected);
}

#[test]
fn clients_have_equal_parts_of_what_the_others_leave() {
    let parts = |name, shell: &str, triage: &str| {
        let policy = compiled(name, &format!("{SHELL}{shell}{TRIAGE}{triage}"));
        let part =
            |client: &protocol::policy::Client| (client.requests, client.sessions, client.commands);
        [part(&policy.clients[0]), part(&policy.clients[1])]
    };
    let half = (
        MAX_REQUESTS as u32 / 2,
        MAX_SESSIONS as u32 / 2,
        CLIENT_COMMANDS as u32 / 2,
    );
    assert_eq!(parts("halves", "", ""), [half; 2]);
    assert_eq!(
        parts("some", "", "requests = 2\nsessions = 1\ncommands = 3\n"),
        [
            (
                MAX_REQUESTS as u32 - 2,
                MAX_SESSIONS as u32 - 1,
                CLIENT_COMMANDS as u32 - 3
            ),
            (2, 1, 3)
        ]
    );
    // The shares need not add up to the whole.
    assert_eq!(
        parts("few", "requests = 5\n", "requests = 2\n").map(|(requests, ..)| requests),
        [5, 2]
    );
    assert_eq!(
        parts("all", "requests = 30\n", "requests = 9\n").map(|(requests, ..)| requests),
        [30, 9]
    );
}

#[test]
fn what_is_wrong_with_a_client_is_said_with_its_line() {
    for (name, shell, triage, at, reason) in [
        (
            "no-user",
            SHELL,
            "[clients.triage]\nrequests = 1\n",
            "[clients.triage]",
            "client 'triage' has no user and may not log in: write user = \"NAME\"",
        ),
        (
            "no-user-yet",
            SHELL,
            "[clients.triage]\nlogin = true\n",
            "[clients.triage]",
            "client 'triage' may log in, but has no user for the time before that: write user =",
        ),
        (
            "unknown-user",
            SHELL,
            "[clients.triage]\nuser = \"nobody\"\n",
            "user = \"nobody\"",
            "client 'triage' is user 'nobody', who is not in [users]",
        ),
        (
            "passphrase",
            SHELL,
            "[clients.triage]\nuser = \"admin\"\n",
            "user = \"admin\"",
            "client 'triage' is user 'admin', who has a passphrase",
        ),
        (
            "too-many-requests",
            SHELL,
            "[clients.triage]\nuser = \"triage\"\nrequests = 40\n",
            "requests = 40",
            "requests 40 is out of range, 1 to 39 are allowed",
        ),
        (
            "no-sessions",
            SHELL,
            "[clients.triage]\nuser = \"triage\"\nsessions = 0\n",
            "sessions = 0",
            "sessions 0 is out of range, 1 to 32 are allowed",
        ),
        (
            "sum-of-requests",
            "[clients.shell]\nuser = \"guest\"\nrequests = 20\n",
            "[clients.triage]\nuser = \"triage\"\nrequests = 21\n",
            "requests = 21",
            "the requests of the clients add up to 41 here, but there are only 39: give them fewer",
        ),
        (
            "sum-of-commands",
            "[clients.shell]\nuser = \"guest\"\ncommands = 12\n",
            "[clients.triage]\nuser = \"triage\"\ncommands = 1\n",
            "commands = 1",
            "the commands of the clients add up to 13 here, but there are only 12",
        ),
        (
            "nothing-left",
            "[clients.shell]\nuser = \"guest\"\nsessions = 32\n",
            TRIAGE,
            "[clients.triage]",
            "client 'triage' gives no sessions, and the others leave only 0 of 32 for those that give none (1): give the others fewer",
        ),
        (
            "unknown-member",
            SHELL,
            "[clients.triage]\nuser = \"triage\"\nchannel = 5\n",
            "channel = 5",
            "unknown field `channel`, expected one of",
        ),
        (
            "name",
            SHELL,
            "[clients.\"tri age\"]\nuser = \"triage\"\n",
            "[clients.\"tri",
            "'tri age' is not a valid name for a client",
        ),
        (
            "login-word",
            SHELL,
            "[clients.triage]\nuser = \"triage\"\nlogin = \"yes\"\n",
            "login = \"yes\"",
            "invalid type",
        ),
    ] {
        let clients = format!("{shell}{triage}");
        // If several lines begin alike, the last is meant.
        let text = format!("{REST}{clients}");
        let line = text.lines().collect::<Vec<_>>();
        let line = line.iter().rposition(|line| line.starts_with(at));
        let message = refused(name, &clients, SYSTEM);
        let start = format!("policy.toml:{}: ", line.unwrap() + 1);
        assert!(message.starts_with(&start), "{name}: {message}");
        assert!(message.contains(reason), "{name}: {message}");
    }
}

#[test]
fn a_policy_in_words_says_who_each_client_is_and_who_may_be_whom() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clients-words");
    fs::create_dir_all(&folder).unwrap();
    let (path, system) = (folder.join("policy.toml"), folder.join("system.xml"));
    fs::write(&system, SYSTEM).unwrap();
    let words = |clients: &str, system: Option<&PathBuf>| {
        fs::write(&path, format!("{REST}{clients}")).unwrap();
        let mut command = cargo_bin_cmd!("llmtool");
        command.arg("policy").arg(&path);
        if let Some(system) = system {
            command.arg("--system").arg(system);
        }
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    let said = words(&format!("{SHELL}{TRIAGE}"), Some(&system));
    for part in [
        "  shell        user guest, until somebody logs in (audit's channel 3)\n",
        "  triage       user triage, always (audit's channel 5)\n",
        "at once 19 requests, 16 sessions, 6 messages that inference has not read\n",
        "  guest        reader (no passphrase; shell)\n",
        "  triage       reader (no passphrase; triage)\n",
        "  admin        reader (passphrase, at shell)\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = words(TRIAGE, None);
    for part in [
        "  triage       user triage, always (its channel stands in system.xml)\n",
        "  guest        reader (nobody: no client is this user, and none may log in)\n",
        "  admin        reader (nobody: no client is this user, and none may log in)\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = words("", None);
    assert!(
        said.contains("clients\n  none: nobody can send requests\n"),
        "{said}"
    );
}
