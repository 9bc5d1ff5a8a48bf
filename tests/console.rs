//! The console as a person sees it: scripted sessions at terminals of several widths, with the screen compared and not only
//! the bytes. `make e2e-sim` and `make e2e-qemu` run it on both runtimes; `sel4_llm_tests::person` says how a case is
//! written.
//!
//! A claim about every terminal goes through [`everywhere`], which has 40, 80 and 132 columns and one without control
//! sequences.

use sel4_llm_tests::person::{Person, Term};

/// The terminals that the console is looked at on.
const TERMINALS: [(u16, Term); 4] = [
    (40, Term::Xterm),
    (80, Term::Xterm),
    (132, Term::Xterm),
    (80, Term::Dumb),
];

/// Has a person at each of [`TERMINALS`] look at a system that has just started.
fn everywhere(look: impl Fn(&mut Person, usize, Term)) {
    for (columns, term) in TERMINALS {
        let mut person = Person::start(columns, term);
        look(&mut person, usize::from(columns), term);
        person.leave();
    }
}

#[test]
fn a_command_is_answered_on_every_terminal() {
    everywhere(|person, _, _| {
        let answer = person.ask("whoami");
        assert!(answer.starts_with("guest ("), "{answer}");
        let text = person.text();
        assert!(text.contains("\nllm> whoami\nguest ("), "{text}");
    });
}
