//! An audit that restarts, or speaks another version.

use super::harness::*;
use protocol::region::WriteWords as _;

#[test]
fn an_audit_that_begins_anew_ends_what_is_under_way_and_the_shell_goes_on() {
    for (line, output) in [
        (
            "llminfer x",
            "error: audit was restarted and no longer knows this request\n",
        ),
        (
            "llmctl status",
            "error: audit was restarted and no longer knows this request\n",
        ),
        (
            "llmctl audit --follow",
            "error: audit was restarted and no longer knows this request\n",
        ),
        (
            "llmstats --watch",
            "error: audit was restarted and no longer knows this request\n",
        ),
        (
            "login guest",
            "error: audit was restarted and no longer knows this request\n",
        ),
        (
            "llminfer x --background",
            "job 1: error: audit was restarted and no longer knows this request\n",
        ),
    ] {
        let mut system = System::plain();
        system.request(line);
        system.output();
        system.audit.lead(2);
        system.shell.on_signal(&mut system.terminal);
        let expected = format!("audit: it was restarted: sessions and logins are gone\n{output}");
        assert_eq!(system.output(), expected, "{line}");
        system.say(0, &Event::Ready(user("guest", 0)));
        assert_eq!(system.output(), format!("audit: {READY_LINE}\n"));
        let number = system.request("whoami");
        system.say(number, &Event::User(user("guest", 0)));
        assert!(system.output().starts_with("guest ("));
    }
    // If a job is waited for, its text ends with its closing line.
    let mut system = System::plain();
    let number = system.request("llminfer x --background");
    system.token(number, b"half");
    system.type_in("llmctl wait 1\n");
    system.output();
    system.audit.lead(2);
    system.shell.on_signal(&mut system.terminal);
    let output = system.output();
    assert!(
        output.ends_with("\nerror: audit was restarted and no longer knows this request\n"),
        "{output:?}"
    );
    system.type_in("llmctl jobs\n");
    assert_eq!(system.output(), "   1  lost  \"x\"\n");
    // A word that is being completed is unchanged.
    let mut system = System::terminal();
    system.type_in("llmctl load t\t");
    system.asked_for("Models");
    system.audit.lead(2);
    system.shell.on_signal(&mut system.terminal);
    system.type_in("iny\r");
    system.asked_for("Load { name: \"tiny\" }");
}

#[test]
fn an_audit_of_another_version_is_told_with_both_versions_and_once() {
    let mut system = System::off(Mode::Plain);
    system.theirs.store(0, 3);
    for _ in 0..2 {
        system.shell.on_signal(&mut system.terminal);
    }
    let ours = protocol::VERSION;
    assert_eq!(
        system.output(),
        format!(
            "error: audit speaks version 3 of the protocol, this client version {ours}: build both from the same tree\n"
        )
    );
    system.type_in("\x03");
    assert_eq!(system.asked(), []);
}
