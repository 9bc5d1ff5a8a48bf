//! What the simulation enforces and reports, shown with the domains of a small system of its own.
//!
//! This program is three things: the tests, the supervisor of the systems that they run, and the domains of those
//! systems. A system is a parent `warden`, which owns the UART and prints what it sees, its child `probe`, which does
//! what byte 0 of region `order` says, and a bystander. The order is prefill, so each test runs the same programs with
//! another file.

macro_rules! check {
    ($condition:expr, $run:expr) => {
        if !$condition {
            return Err(libtest_mimic::Failed::from(format!(
                "{}: {:#?}",
                stringify!($condition),
                $run
            )));
        }
    };
}

mod attacks;
mod console;
mod domains;
mod harness;
mod lifetime;
mod outside;
mod refusals;

use console::{closed_console, large_prefill, log_file, missing_prefill, terminal};
use domains::{CHILD, Mode, ORDER_AT, ROLES, UNMAPPED};
use harness::{Folder, SUPERVISE, SYSTEM, finish, run, run_with, supervisor};
use libtest_mimic::{Arguments, Failed, Trial};
use lifetime::supervisor_dies;
use lifetime::{
    other_architecture, parentless, restart, silent_death, stack_overflow, unresponsive,
    well_behaved,
};
use protocol::wire::FaultKind;
use refusals::{needs_more, refused_descriptions};
use rustix::process::Signal;
use std::process::{Command, ExitCode};

/// Set in a supervisor that runs where ptrace is refused.
const REFUSE_PTRACE: &str = "SIM_TEST_REFUSE_PTRACE";

/// Refuses ptrace, as some containers do.
fn refuse_ptrace() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let rules = [(libc::SYS_ptrace, Vec::new())].into();
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if outside::is_this(&arguments) {
        return sim::domain_main(domains::Probe::start);
    }
    match arguments.get(1).and_then(|first| first.to_str()) {
        Some("pd") => return sim::main(&ROLES),
        Some(SUPERVISE) => {
            // The supervisor parses the arguments of its process, so it is started again without the first.
            arguments.drain(..2);
            let mut supervisor = Command::new("/proc/self/exe");
            supervisor.args(arguments).env("SIM_TEST_SUPERVISOR", "1");
            let error = std::os::unix::process::CommandExt::exec(&mut supervisor);
            panic!("{error}");
        }
        _ if std::env::var_os("SIM_TEST_SUPERVISOR").is_some() => {
            if std::env::var_os(REFUSE_PTRACE).is_some() {
                refuse_ptrace();
            }
            return sim::main(&ROLES);
        }
        _ => {}
    }
    libtest_mimic::run(&Arguments::from_args(), tests()).exit_code()
}

type Test = Result<(), Failed>;

/// The probe dies of its order, the warden is told why, and both the warden and the bystander live on.
fn dies(order: u8, kind: FaultKind, address: u64, words: &str) -> Test {
    for options in [&[][..], &["--no-ptrace"]] {
        let run = run_with(order, Mode::Once, options, b"");
        let expected = vec![u64::from(CHILD), kind as u64, address, 1];
        check!(run.numbers("fault ")? == vec![expected], run);
        check!(run.status == Some(0), run);
        check!(run.errors.lines().count() == 1, run);
        check!(run.errors.starts_with(&format!("sim: probe: {words}")), run);
        check!(run.errors.contains("(ip 0x"), run);
    }
    Ok(())
}

fn memory(order: u8, address: u64) -> Test {
    dies(
        order,
        FaultKind::Memory,
        address,
        &format!("memory fault at address {address:#x} (ip"),
    )
}

fn system_call(order: u8, number: libc::c_long) -> Test {
    let words = format!("forbidden system call {number} (ip");
    dies(order, FaultKind::Capability, number.unsigned_abs(), &words)
}

fn exception(order: u8, signal: i32) -> Test {
    dies(
        order,
        FaultKind::Exception,
        0,
        &format!("exception (signal {signal}) (ip"),
    )
}

fn tests() -> Vec<Trial> {
    let test = |name: &str, test: fn() -> Test| Trial::test(name, test);
    vec![
        test(
            "a_write_to_another_domains_region_is_a_memory_fault",
            || memory(b'w', UNMAPPED),
        ),
        test("a_read_of_another_domains_region_is_a_memory_fault", || {
            memory(b'r', UNMAPPED)
        }),
        test("a_write_to_a_constant_region_is_a_memory_fault", || {
            memory(b'o', ORDER_AT + 0x10)
        }),
        test("a_write_to_the_peers_region_is_a_memory_fault", || {
            memory(b't', 0x1100_0020)
        }),
        test("a_writable_region_is_not_executable", || {
            memory(b'x', 0x1110_0000)
        }),
        test("registers_of_devices_are_not_mapped", || {
            memory(b'd', 0x1000_0000)
        }),
        test("mmap_is_a_fault", || system_call(b'm', libc::SYS_mmap)),
        test("mprotect_is_a_fault", || {
            system_call(b'P', libc::SYS_mprotect)
        }),
        test("open_is_a_fault", || system_call(b'O', libc::SYS_openat)),
        test("socket_is_a_fault", || system_call(b's', libc::SYS_socket)),
        test("sendmsg_is_a_fault", || {
            system_call(b'S', libc::SYS_sendmsg)
        }),
        test("a_signal_to_the_supervisor_is_a_fault", || {
            system_call(b'k', libc::SYS_kill)
        }),
        test("a_signal_to_another_process_is_a_fault", || {
            system_call(b'K', libc::SYS_kill)
        }),
        test("fork_is_a_fault", || system_call(b'F', libc::SYS_clone)),
        test("exec_is_a_fault", || system_call(b'E', libc::SYS_execve)),
        test("a_signal_to_a_thread_of_another_process_is_a_fault", || {
            system_call(b'G', libc::SYS_tgkill)
        }),
        test("arming_a_foreign_timer_is_a_fault", || {
            system_call(b'c', libc::SYS_timerfd_settime)
        }),
        test("becoming_dumpable_again_is_a_fault", || {
            system_call(b'N', libc::SYS_prctl)
        }),
        test("ptrace_is_a_fault", || system_call(b'T', libc::SYS_ptrace)),
        test("a_write_to_a_foreign_descriptor_is_a_fault", || {
            system_call(b'W', libc::SYS_write)
        }),
        test("a_read_from_a_foreign_descriptor_is_a_fault", || {
            system_call(b'R', libc::SYS_read)
        }),
        test("memory_from_the_kernel_is_a_fault", || {
            system_call(b'A', libc::SYS_mmap)
        }),
        test("a_panic_is_an_exception", || exception(b'p', libc::SIGABRT)),
        test("an_abort_is_an_exception", || {
            exception(b'a', libc::SIGABRT)
        }),
        test("an_undefined_instruction_is_an_exception", || {
            exception(b'u', libc::SIGILL)
        }),
        test("exit_is_a_fault_for_who_may_not_halt", || {
            system_call(b'Z', libc::SYS_exit_group)
        }),
        test("an_overflow_of_the_stack_is_a_memory_fault", stack_overflow),
        test("a_death_without_a_report_is_an_unknown_fault", silent_death),
        test(
            "a_system_call_of_another_architecture_is_a_fault",
            other_architecture,
        ),
        test("a_well_behaved_domain_runs_without_fault", well_behaved),
        test(
            "a_fault_is_reported_and_the_restart_keeps_regions_and_channels",
            restart,
        ),
        test(
            "a_domain_that_spins_is_restarted_on_its_parents_order",
            unresponsive,
        ),
        test("no_descriptor_leaks_into_a_domain", no_leak),
        test(
            "mappings_are_those_of_the_description_and_no_more",
            exact_mappings,
        ),
        test("signals_coalesce_and_none_is_lost", coalesce),
        test("input_and_its_end_arrive", echo),
        test("input_is_held_back_without_loss_or_spinning", hold_back),
        test(
            "where_ptrace_is_refused_it_says_so_and_domains_report_their_own_faults",
            no_ptrace,
        ),
        test(
            "a_terminal_is_raw_while_the_system_runs_and_as_before_after_it",
            terminal,
        ),
        test("the_timers_fire_at_their_time", timers),
        test(
            "a_domain_without_a_parent_ends_the_run_with_its_name",
            parentless,
        ),
        test("the_end_of_the_supervisor_ends_the_domains", || {
            supervisor_dies(Signal::KILL, None)
        }),
        test("sigterm_ends_the_run", || {
            supervisor_dies(Signal::TERM, Some(143))
        }),
        test("a_closed_console_ends_the_run", closed_console),
        test("the_log_file_has_start_fault_restart_and_end", log_file),
        test("a_prefill_larger_than_its_region_is_refused", large_prefill),
        test(
            "a_missing_prefill_is_refused_with_what_to_do",
            missing_prefill,
        ),
        test(
            "a_description_that_cannot_be_run_is_refused",
            refused_descriptions,
        ),
        test(
            "a_program_that_needs_more_than_its_domain_has_does_not_start",
            needs_more,
        ),
        test(
            "a_program_of_ones_own_becomes_the_domain_that_it_is_named_for",
            outside::well_behaved,
        ),
        test(
            "a_program_of_ones_own_is_locked_down_as_every_other",
            outside::locked_down,
        ),
        test(
            "a_program_of_ones_own_is_restarted_on_its_parents_order",
            outside::restarted,
        ),
        test(
            "a_program_that_does_not_lock_itself_down_ends_the_run",
            outside::unconfined,
        ),
        test(
            "a_program_that_is_no_domains_is_a_clear_error",
            outside::no_domain,
        ),
        test(
            "a_name_that_is_no_domain_is_a_clear_error",
            outside::wrong_names,
        ),
        test(
            "a_program_with_a_second_thread_does_not_become_a_domain",
            outside::threads,
        ),
        test(
            "a_program_of_ones_own_that_a_person_starts_says_what_it_is",
            outside::by_hand,
        ),
        test(
            "debug_output_comes_with_the_domains_name_and_only_where_it_is_allowed",
            outside::debug_output,
        ),
        test(
            "the_program_gets_every_variable_that_the_description_sets",
            outside::variables,
        ),
    ]
}

fn no_leak() -> Test {
    let folder = Folder::new();
    folder.write("order.bin", [b'D', Mode::Once as u8]);
    let system = folder.write("system.xml", SYSTEM);
    // The supervisor itself inherits descriptors that are not its own.
    let mut command = Command::new("bash");
    let line = "exec 7</etc/hostname 9>>/dev/null; SECRET=1 exec \"$0\" \"$@\"";
    command
        .args(["-c", line])
        .arg(std::env::current_exe()?)
        .arg(SUPERVISE);
    command.arg(&system).arg("--search-path").arg(&folder.0);
    let run = finish(command, b"");
    check!(run.status == Some(0), run);
    let mut descriptors: Vec<_> = run
        .errors
        .lines()
        .filter_map(|line| line.strip_prefix("descriptor "))
        .map(|name| name.split([':', '[']).next().unwrap_or_default())
        .collect();
    descriptors.dedup();
    // Before the lock-down: the folder that is being listed, the null device as input and output, standard error, and
    // the two pipes of the one channel.
    check!(run.errors.contains("environment 0"), run);
    let own = run
        .errors
        .lines()
        .filter(|line| line.contains("pipe:"))
        .count();
    check!(own == 3, run);
    for name in descriptors {
        check!(
            name.starts_with("/proc/") || name == "/dev/null" || name == "pipe",
            run
        );
    }
    Ok(())
}

fn exact_mappings() -> Test {
    let run = run(b'M', Mode::Once);
    let mut found: Vec<_> = run
        .errors
        .lines()
        .filter_map(|line| line.strip_prefix("mapping "))
        .map(|line| {
            let mut words = line.split_whitespace();
            let (range, perms) = (words.next().unwrap(), words.next().unwrap());
            let name = line
                .split("memfd:")
                .nth(1)
                .unwrap()
                .split(' ')
                .next()
                .unwrap();
            format!("{name} {range} {perms}")
        })
        .collect();
    found.sort();
    let expected = [
        "from_probe 11100000-11102000 rw-s",
        "order 15000000-15001000 r--s",
        "scratch 14000000-14200000 rw-s",
        "to_probe 11000000-11002000 r--s",
    ];
    check!(found == expected, run);
    check!(run.status == Some(0), run);
    Ok(())
}

fn coalesce() -> Test {
    let run = run(b'f', Mode::Flood);
    let done = run.numbers("done")?;
    // There are 100 000 signals, and each wake-up takes 2 ms of the probe's time.
    check!(run.status == Some(0) && done.len() == 1, run);
    check!((1..10_000).contains(&done[0][1]), run);
    Ok(())
}

fn echo() -> Test {
    let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    let run = run_with(b'n', Mode::Echo, &[], text.as_bytes());
    check!(run.status == Some(0) && run.errors.is_empty(), run.errors);
    check!(run.output == format!("{text}end\n"), run.output.len());
    Ok(())
}

fn hold_back() -> Test {
    let text = "abcdefgh\n".repeat(5000);
    let run = run_with(b'n', Mode::HoldBack, &[], text.as_bytes());
    check!(run.status == Some(0), run.errors);
    let (first, rest) = run.output.split_once('\n').unwrap_or_default();
    let woken = first
        .strip_prefix("woken 0x")
        .and_then(|n| u64::from_str_radix(n, 16).ok());
    // Wake-ups are for the input, the probe's signal and the timer, not for each look at the held-back input.
    check!(woken.is_some_and(|woken| woken <= 4), first);
    check!(rest == format!("{}end\n", &text[1..]), rest.len());
    Ok(())
}

fn no_ptrace() -> Test {
    let folder = Folder::new();
    folder.write("order.bin", [b'1', Mode::Twice as u8]);
    let system = folder.write("system.xml", SYSTEM);
    let mut command = supervisor(&system, &folder);
    command.env(REFUSE_PTRACE, "1");
    let run = finish(command, b"");
    let lines: Vec<_> = run.errors.lines().collect();
    check!(lines.len() == 2, run);
    check!(
        lines[0].starts_with("sim: warning: ptrace is refused here"),
        run
    );
    check!(
        lines[1].starts_with("sim: probe: memory fault at address 0x12000008 (ip 0x"),
        run
    );
    check!(
        run.numbers("done")? == [[2, 0]] && run.status == Some(0),
        run
    );
    Ok(())
}

fn timers() -> Test {
    let run = run(b'n', Mode::Timers);
    check!(run.status == Some(0), run);
    let (timer, ticks) = (run.numbers("timer")?, run.numbers("tick")?);
    check!(
        timer.len() == 1 && (50_000..900_000).contains(&timer[0][0]),
        run
    );
    check!(ticks.len() == 2, run);
    let period = ticks[1][0] - ticks[0][0];
    check!((900_000..1_500_000).contains(&period), run);
    Ok(())
}
