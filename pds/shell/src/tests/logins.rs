//! Logins, and what becomes of the passphrase.

use super::harness::*;
use protocol::region::ReadWords as _;

#[test]
fn who_logs_in_types_a_passphrase_that_nobody_sees() {
    for mode in [Mode::Terminal, Mode::Plain] {
        let mut system = System::boot(mode);
        system.output();
        system.type_in("login admin\n");
        let number = system.asked_for("Login admin None");
        system.type_in("sec\x7fcret\n");
        assert_eq!(system.asked(), []);
        system.fail(number, Failure::of(ErrorCode::PassphraseNeeded), b"");
        let number = system.asked_for("Login admin Some(\"secret\")");
        system.say(number, &Event::User(user("admin", 1)));
        let output = system.output();
        assert!(
            output.contains("logged in as admin (reader; may infer)"),
            "{output}"
        );
        assert!(
            !output.contains("sec") && !output.contains("cret"),
            "{output}"
        );
        if mode == Mode::Terminal {
            assert!(output.contains("passphrase: \r\n") && output.ends_with("admin@llm> \x1b[0m"));
            system.type_in("\x1b[A\x1b[A\x1b[A");
            assert!(
                !system.output().contains("secret"),
                "not in the history either"
            );
            system.type_in("\x15");
        }
        // A user without a passphrase is logged in by this one message.
        system.type_in("login guest\n");
        let number = system.asked_for("Login guest None");
        system.say(number, &Event::User(user("guest", 0)));
        system.type_in("login nobody\nx\nwhoami\n");
        let number = system.asked_for("Login nobody None");
        system.fail(number, Failure::of(ErrorCode::PassphraseNeeded), b"");
        let number = system.asked_for("Login nobody Some(\"x\")");
        let failed = Failure::over(ErrorCode::LoginFailed, 2_000_000, 0);
        system.fail(number, failed, b"");
        system.asked_for("WhoAmI");
        assert!(system.output().contains("try again in 2 s"));
    }
}

#[test]
fn a_passphrase_is_wiped_from_the_ring_when_audit_has_read_it() {
    let mut system = System::terminal();
    system.log_in("admin");
    let bytes: Vec<u8> = (0..system.region.words())
        .flat_map(|word| system.region.load(word).to_le_bytes())
        .collect();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
}

#[test]
fn a_login_is_one_message_before_the_passphrase() {
    let mut system = System::plain();
    system.type_in("login guest\n");
    let number = system.asked_for("Login guest None");
    system.say(number, &Event::User(user("guest", 0)));
    assert_eq!(system.output(), "logged in as guest (reader; may infer)\n");
    system.type_in("login admin\n");
    let number = system.asked_for("Login admin None");
    // Too soon, or no valid policy: there is nothing to type.
    system.fail(number, Failure::over(ErrorCode::LoginDelayed, 5, 0), b"");
    assert!(
        system
            .output()
            .starts_with("error: a passphrase was tried here a moment ago")
    );
    system.request("whoami");
}

#[test]
fn a_passphrase_can_be_given_up_and_cannot_be_too_long() {
    let mut system = System::terminal();
    system.log_in("admin");
    system.begin_login("admin");
    system.type_in("secret\x03");
    assert_eq!(system.asked(), []);
    assert!(system.output().ends_with("^C\r\n\x1b[1madmin@llm> \x1b[0m"));
    system.begin_login("admin");
    system.type_in("x".repeat(129) + "\r");
    assert_eq!(system.asked(), []);
    assert!(
        system
            .output()
            .contains("the passphrase has 129 bytes, at most 128")
    );
    system.begin_login("admin");
    system.type_in("secret\x04");
    assert_eq!(system.asked(), []);
    let output = system.output();
    assert!(
        output.contains("no login: cancelled") && output.ends_with("\x1b[1madmin@llm> \x1b[0m"),
        "{output:?}"
    );
    assert_eq!(system.terminal.input_done, 1);
    system.request("whoami");
}

#[test]
fn a_passphrase_on_the_line_of_the_command_is_neither_run_nor_kept() {
    let mut system = System::terminal();
    for line in [
        "login admin secret",
        "  login admin \"secret",
        "logn admin secret",
    ] {
        system.type_in(format!("{line}\r"));
        assert_eq!(system.asked(), []);
    }
    system.output();
    system.type_in("\x1b[A");
    assert!(!system.output().contains("secret"));
    let mut system = System::plain();
    system.type_in("login admin secret\n");
    assert_eq!(
        system.output(),
        "error: login takes a user's name and nothing else; the passphrase belongs on the next line\n"
    );
}

#[test]
fn a_logout_where_nobody_has_logged_in_says_so() {
    for mode in [Mode::Terminal, Mode::Plain] {
        let mut system = System::boot(mode);
        system.output();
        let number = system.request("logout");
        system.say(number, &Event::User(user("guest", 0)));
        let output = system.output();
        assert!(
            output.contains(
                "nobody has logged in, so nobody is logged out; you are guest (reader; may"
            ),
            "{output}"
        );
        system.log_in("admin");
        let number = system.request("logout");
        system.say(number, &Event::User(user("guest", 0)));
        let output = system.output();
        assert!(output.contains("logged out; now guest"), "{output}");
    }
    // A login that nobody waited for has happened all the same.
    let mut system = System::terminal();
    let number = system.request("login tester");
    system.type_in("\x03logout\r");
    system.say(number, &Event::User(user("tester", 0)));
    let asked = system.asked();
    assert_eq!(asked.last().map(|(_, text)| text.as_str()), Some("Logout"));
    system.say(asked[asked.len() - 1].0, &Event::User(user("guest", 0)));
    let output = system.output();
    assert!(output.contains("logged out; now guest"), "{output}");
}
