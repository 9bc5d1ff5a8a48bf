//! A program in C as a domain: compiled with this crate's header, linked with its library, and run by the simulation.
//!
//! This program is three things: the tests, the supervisor of the systems that they run, and the domain `peer`, which
//! has the console and prints what the C program has left in their shared region.

use libtest_mimic::{Arguments, Failed, Trial};
use sim::pd::{Component, Console, Environment, Ids, Notifier, Role, SetupError};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

/// Set in a process that is a supervisor.
const SUPERVISE: &str = "SIM_TEST_SUPERVISOR";

const SYSTEM: &str = r#"
<system>
    <memory_region name="to_peer" size="0x2000" />
    <memory_region name="order" size="0x1000" prefill_path="order.bin" />
    <protection_domain name="peer" priority="120">
        <program_image path="peer.elf" />
        <map mr="to_peer" vaddr="0x11000000" perms="r" setvar_vaddr="to_peer" />
        <irq irq="33" id="1" />
    </protection_domain>
    <protection_domain name="client" priority="100">
        <program_image path="client.elf" />
        <map mr="to_peer" vaddr="0x11000000" perms="rw" setvar_vaddr="to_peer" setvar_size="to_peer_size" />
        <map mr="order" vaddr="0x15000000" perms="r" setvar_vaddr="order" setvar_prefill_size="order_bytes" />
    </protection_domain>
    <channel>
        <end pd="peer" id="0" />
        <end pd="client" id="3" setvar_id="peer_channel" />
    </channel>
</system>
"#;

/// Answers the client's first signal, and reports its second on the console.
struct Peer {
    console: Console,
    client: Notifier,
    from_client: protocol::region::ReadOnlyRegion,
}

fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    Ok(Box::new(Peer {
        console: env.console(1)?,
        client: env.notifier(0)?,
        from_client: env.read_only("to_peer")?,
    }))
}

impl Component for Peer {
    fn notified(&mut self, ids: Ids) {
        use protocol::region::ReadWords as _;
        if !ids.contains(0) {
            return;
        }
        if self.from_client.load(0) == 0 {
            return self.client.notify();
        }
        // Nothing may be allocated after the lock-down.
        for index in 0..5 {
            let word = self.from_client.load(index);
            let digits = [
                b'0' + (word >> 12) as u8 % 16,
                b'0' + (word % 10) as u8,
                b' ',
            ];
            self.console.write(&digits);
        }
        self.console.halt();
    }
}

fn main() -> ExitCode {
    let roles = [Role {
        image: "peer",
        start,
    }];
    let is_domain = std::env::args().nth(1).is_some_and(|first| first == "pd");
    if is_domain || std::env::var_os(SUPERVISE).is_some() {
        return sim::main(&roles);
    }
    libtest_mimic::run(&Arguments::from_args(), tests()).exit_code()
}

type Test = Result<(), Failed>;

macro_rules! check {
    ($condition:expr, $run:expr) => {
        if !$condition {
            return Err(Failed::from(format!(
                "{}: {:#?}",
                stringify!($condition),
                $run
            )));
        }
    };
}

fn tests() -> Vec<Trial> {
    let test = |name: &str, test: fn() -> Test| Trial::test(name, test);
    vec![
        test("a_program_in_c_gets_its_variables_and_talks", talks),
        test("a_program_in_c_is_locked_down", locked_down),
        test("its_debug_output_has_its_name", debug_output),
        test(
            "a_channel_that_it_does_not_have_is_said_and_not_signalled",
            wrong_channel,
        ),
        test("a_variable_that_it_lacks_is_a_clear_error", no_variable),
        test(
            "a_variable_of_another_size_is_a_clear_error",
            narrow_variable,
        ),
        test("a_program_without_symbols_is_a_clear_error", stripped),
        test("a_program_that_a_person_starts_says_what_it_is", by_hand),
    ]
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sim-c-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// This crate as a static library. It lies beside this program, with a hash in its name; if there are several, the
/// newest is of this build.
fn library() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let beside = fs::read_dir(own.parent().unwrap()).unwrap().flatten();
    let libraries = beside.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("libmicrokit_sim") && name.ends_with(".a")
    });
    let newest = libraries.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
    newest.expect("cargo has built the library").path()
}

/// Compiles the client.
fn compile(folder: &Folder, options: &[&str]) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = folder.0.join("client-sim");
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2"])
        .args(options)
        .arg("-I")
        .arg(own.join("include"))
        .arg(own.join("tests/client.c"))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .status()
        .expect("a C compiler");
    assert!(compiled.success());
    program
}

/// Runs the system with that program as the client.
fn run_program(
    program: &Path,
    folder: &Folder,
    order: &str,
    system: &str,
    options: &[&str],
) -> Run {
    fs::write(folder.0.join("order.bin"), order).unwrap();
    let description = folder.0.join("system.xml");
    fs::write(&description, system).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .env(SUPERVISE, "1")
        .arg(&description)
        .arg("--search-path")
        .arg(&folder.0)
        .arg(format!("--program=client={}", program.display()))
        .args(options)
        .stdin(Stdio::null())
        .output();
    output.unwrap().into()
}

fn run(order: &str, options: &[&str]) -> Run {
    let folder = Folder::new();
    let program = compile(&folder, &[]);
    run_program(&program, &folder, order, SYSTEM, options)
}

#[derive(Debug)]
struct Run {
    status: Option<i32>,
    output: String,
    errors: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

fn talks() -> Test {
    for options in [&[][..], &["--no-ptrace"]] {
        let run = run("n123", options);
        check!(run.status == Some(0) && run.errors.is_empty(), run);
        // One wake-up; 0x2000 bytes of region, 4 of prefill, channel 3, told and woken by.
        check!(run.output == "01 22 04 03 03 ", run);
    }
    Ok(())
}

fn locked_down() -> Test {
    let folder = Folder::new();
    let program = compile(&folder, &[]);
    let call = |number: libc::c_long| format!("sim: client: forbidden system call {number} (ip");
    for (order, message) in [
        (
            "w",
            "sim: client: memory fault at address 0x15000000 (ip".to_owned(),
        ),
        ("m", call(libc::SYS_mmap)),
        ("s", call(libc::SYS_write)),
        ("e", call(libc::SYS_exit_group)),
        ("a", "sim: client: exception (signal 6) (ip".to_owned()),
    ] {
        for options in [&[][..], &["--no-ptrace"]] {
            let run = run_program(&program, &folder, order, SYSTEM, options);
            check!(run.errors.starts_with(&message), (order, run));
            check!(
                run.errors.contains("client died and has no parent"),
                (order, run)
            );
            check!(run.status == Some(1), (order, run));
        }
    }
    Ok(())
}

fn debug_output() -> Test {
    let run = run("n", &["--debug"]);
    check!(run.status == Some(0), run);
    check!(
        run.errors == "client: I am client, with 255/4294967295\n",
        run
    );
    Ok(())
}

fn wrong_channel() -> Test {
    let run = run("c", &["--debug"]);
    check!(run.status == Some(0), run);
    let lines: Vec<_> = run.errors.lines().skip(1).collect();
    let expected = [
        "client: microkit_notify: invalid channel given '4'",
        "client: microkit_notify: invalid channel given '2147483648'",
    ];
    check!(lines == expected, run);
    Ok(())
}

/// Runs a program for which the description also sets this variable.
fn refused(program: &Path, folder: &Folder, variable: &str) -> Run {
    let set = format!(r#"perms="r" setvar_size="{variable}" setvar_vaddr="order""#);
    let system = SYSTEM.replace(r#"perms="r" setvar_vaddr="order""#, &set);
    run_program(program, folder, "n", &system, &[])
}

fn no_variable() -> Test {
    let folder = Folder::new();
    let program = compile(&folder, &[]);
    // The program has a function of this name, but no variable.
    for name in ["nothing", "notified"] {
        let run = refused(&program, &folder, name);
        let expected =
            format!("client: system.xml sets its variable '{name}', which it does not have");
        check!(run.errors.contains(&expected) && run.status == Some(1), run);
    }
    Ok(())
}

fn narrow_variable() -> Test {
    let folder = Folder::new();
    let program = compile(&folder, &["-DNARROW"]);
    let run = refused(&program, &folder, "narrow");
    check!(
        run.errors
            .contains("client: its variable 'narrow' has 4 bytes, not 8"),
        run
    );
    check!(run.status == Some(1), run);
    Ok(())
}

fn stripped() -> Test {
    let folder = Folder::new();
    let program = compile(&folder, &["-s"]);
    let run = run_program(&program, &folder, "n", SYSTEM, &[]);
    check!(run.errors.contains("client: its file has no symbols"), run);
    check!(run.status == Some(1), run);
    Ok(())
}

fn by_hand() -> Test {
    let folder = Folder::new();
    let program = compile(&folder, &[]);
    let run = Run::from(Command::new(&program).output()?);
    check!(run.status == Some(2), run);
    let expected = format!("--program DOMAIN={}", program.display());
    check!(run.errors.contains(&expected), run);
    Ok(())
}
