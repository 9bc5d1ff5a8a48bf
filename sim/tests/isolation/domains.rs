//! The domains of the system under test.

use crate::attacks::{
    jump, load, overflow_the_stack, store, system_call, system_call_32, undefined_instruction,
};
use protocol::region::{ReadOnlyRegion, ReadWords, ReadWriteRegion, WriteWords};
use protocol::wire::Fault;
use sim::pd::{
    Clock, Component, Console, DebugOutput, Environment, Ids, Notifier, Restarter, Role, SetupError,
};
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

pub const UNMAPPED: u64 = 0x1200_0000;
pub const ORDER_AT: u64 = 0x1500_0000;
pub const CHANNEL: u8 = 0;
pub const UART: u8 = 1;
pub const WATCHDOG: u8 = 2;
pub const TIMER: u8 = 3;
pub const CHILD: u8 = 5;
/// A descriptor that a hostile program tries. Whatever it is, it must not be readable or allow sending.
pub const SOME_DESCRIPTOR: u64 = 3;

pub const ROLES: [Role; 3] = [
    Role {
        image: "warden",
        start: Warden::start,
    },
    Role {
        image: "probe",
        start: Probe::start,
    },
    Role {
        image: "bystander",
        start: Bystander::start,
    },
];

/// Parent of the probe. It prints what it sees on the console, restarts the probe once per fault, and halts when the
/// probe says `done` in its region or has died `FAULTS` times.
struct Warden {
    console: Console,
    restarter: Restarter,
    clock: Clock,
    from_probe: ReadOnlyRegion,
    to_probe: ReadWriteRegion,
    notify: Notifier,
    timer: sim::pd::Timer,
    faults: u32,
    wakeups: u64,
    bytes: u64,
    ticks: u32,
    mode: Mode,
}

/// Word 0 of the region that the probe writes.
const SAID: usize = 0;
/// Word 1: how often the probe was started. Kept over restarts.
const STARTS: usize = 1;
/// Word 2: what the probe counted.
const COUNT: usize = 2;
const DONE: u64 = 0xd0e;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Restart the probe at its first fault, and halt at its second.
    Twice = b'2',
    /// Halt at its first fault.
    Once = b'1',
    /// Restart it when it does not answer.
    Unresponsive = b'u',
    /// Copy input to output, and halt at the end of the input.
    Echo = b'e',
    /// Panic at once.
    Panic = b'p',
    /// Wait for the one-shot timer and two ticks of the watchdog.
    Timers = b't',
    /// Signal many times, then say so.
    Flood = b'f',
    /// Do nothing.
    Idle = b'i',
    /// Read nothing before the timer fires; then echo.
    HoldBack = b'h',
}

impl Mode {
    const ALL: [Self; 9] = [
        Self::Twice,
        Self::Once,
        Self::Unresponsive,
        Self::Echo,
        Self::Panic,
        Self::Timers,
        Self::Flood,
        Self::Idle,
        Self::HoldBack,
    ];
}

impl Warden {
    fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
        let order = env.constant("order")?;
        let mode = Mode::ALL.into_iter().find(|mode| *mode as u8 == order[1]);
        Ok(Box::new(Self {
            console: env.console(UART)?,
            restarter: env.restarter(CHILD)?,
            clock: env.clock(),
            from_probe: env.read_only("from_probe")?,
            to_probe: env.read_write("to_probe")?,
            notify: env.notifier(CHANNEL)?,
            timer: env.timer(TIMER)?,
            faults: 0,
            wakeups: 0,
            bytes: 0,
            ticks: 0,
            mode: mode.ok_or_else(|| SetupError::Component("no such mode".into()))?,
        }))
    }

    fn say(&mut self, what: &str, numbers: &[u64]) {
        // Nothing may be allocated, so the numbers are written one by one.
        self.console.write(what.as_bytes());
        for &number in numbers {
            let mut digits = [b'0'; 18];
            digits[1] = b'x';
            for (i, digit) in digits[2..].iter_mut().enumerate() {
                *digit = b"0123456789abcdef"[(number >> (60 - 4 * i) & 15) as usize];
            }
            self.console.write(b" ");
            self.console.write(&digits);
        }
        self.console.write(b"\n");
    }

    fn check_answer(&mut self) {
        if self.from_probe.load(SAID) == DONE {
            let (starts, count) = (self.from_probe.load(STARTS), self.from_probe.load(COUNT));
            self.say("done", &[starts, count]);
            self.console.halt();
        }
    }
}

impl Component for Warden {
    fn init(&mut self) {
        match self.mode {
            Mode::Panic => panic!("as ordered"),
            Mode::Unresponsive | Mode::HoldBack => {
                self.timer.arm(Some(self.clock.now_us() + 200_000));
            }
            Mode::Timers => self.timer.arm(Some(self.clock.now_us() + 50_000)),
            Mode::Flood => {
                for number in 1..=100_000u64 {
                    self.to_probe.publish(0, number);
                    self.notify.notify();
                }
                self.to_probe.publish(1, DONE);
                self.notify.notify();
            }
            _ => {}
        }
    }

    fn notified(&mut self, ids: Ids) {
        self.wakeups += 1;
        match self.mode {
            Mode::Echo => self.echo(),
            Mode::HoldBack if self.ticks > 0 => self.echo(),
            Mode::HoldBack if ids.contains(UART) && self.bytes == 0 => {
                // Takes one byte, because there is no room for more.
                self.bytes += u64::from(self.console.read().is_some());
            }
            Mode::HoldBack if ids.contains(TIMER) => {
                self.ticks += 1;
                self.say("woken", &[self.wakeups]);
                self.echo();
            }
            Mode::Timers => {
                if ids.contains(TIMER) {
                    self.say("timer", &[self.clock.now_us()]);
                }
                if ids.contains(WATCHDOG) {
                    self.ticks += 1;
                    self.say("tick", &[self.clock.now_us()]);
                    if self.ticks == 2 {
                        self.console.halt();
                    }
                }
            }
            Mode::Unresponsive if ids.contains(TIMER) => {
                self.say("restart", &[self.from_probe.load(STARTS)]);
                self.restarter.restart(CHILD);
            }
            Mode::HoldBack | Mode::Idle => {}
            _ => self.check_answer(),
        }
    }

    fn fault(&mut self, child: u8, fault: Fault) {
        let Fault { kind, ip, address } = fault;
        self.say(
            "fault",
            &[u64::from(child), kind as u64, address, u64::from(ip != 0)],
        );
        self.faults += 1;
        if self.mode == Mode::Twice && self.faults == 1 {
            self.restarter.restart(CHILD);
        } else {
            self.console.halt();
        }
    }

    fn accepts_input(&self) -> bool {
        self.console.accepts_input()
    }
}

impl Warden {
    fn echo(&mut self) {
        while let Some(byte) = self.console.read() {
            if byte == sim::pd::END_OF_INPUT {
                self.say("end", &[]);
                self.console.halt();
            }
            self.console.write(&[byte]);
        }
    }
}

/// Does what its prefilled region says, then signals the warden.
pub struct Probe {
    order: u8,
    own: ReadWriteRegion,
    from_warden: ReadOnlyRegion,
    notify: Notifier,
    wakeups: u64,
    waits: bool,
    supervisor: u64,
    debug: DebugOutput,
}

impl Probe {
    pub fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
        let order = env.constant("order")?[0];
        if order == b'D' {
            list_descriptors();
        }
        if order == b'M' {
            list_mappings();
        }
        if order == b'V' {
            for (name, value) in env.variables() {
                eprintln!("variable {name} {value:#x}");
            }
        }
        if order == b'H' {
            std::thread::spawn(|| std::thread::sleep(Duration::from_secs(60)));
        }
        let refused = [
            env.private("from_probe").is_err(), // Shared with the warden.
            env.private("order").is_err(),      // Not writable.
            env.constant("to_probe").is_err(),  // Written by the warden.
            env.read_write("to_probe").is_err(),
            env.console(UART).is_err(),
            env.timer(TIMER).is_err(),
            env.restarter(CHILD).is_err(),
            env.notifier(9).is_err(),
        ];
        assert!(refused.iter().all(|refused| *refused), "{refused:?}");
        let scratch = env.private("scratch")?;
        scratch.fill(0xa5);
        assert!(env.private("scratch").is_err() && env.read_only("scratch").is_err());
        Ok(Box::new(Self {
            order,
            own: env.read_write("from_probe")?,
            from_warden: env.read_only("to_probe")?,
            notify: env.notifier(CHANNEL)?,
            wakeups: 0,
            waits: order == b'f',
            supervisor: std::os::unix::process::parent_id().into(),
            debug: env.debug_output(),
        }))
    }
}

fn list_descriptors() {
    let mut names: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| Some(fs::read_link(path).ok()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    for name in names {
        eprintln!("descriptor {name}");
    }
    eprintln!("environment {}", std::env::vars_os().count());
}

fn list_mappings() {
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        if line.contains("/memfd:") {
            eprintln!("mapping {line}");
        }
    }
}

impl Component for Probe {
    fn init(&mut self) {
        let starts = self.own.load(STARTS);
        self.own.store(STARTS, starts + 1);
        match self.order {
            // The probe behaves well after a restart.
            b'1'..=b'3' if starts > 0 => {}
            b'1' => store(UNMAPPED + 8),
            b'2' => store(ORDER_AT),
            b'3' => loop {
                std::hint::spin_loop();
            },
            b'w' => store(UNMAPPED),
            b'r' => load(UNMAPPED),
            b'o' => store(ORDER_AT + 0x10),
            b't' => store(0x1100_0000 + 0x20), // to_probe, which the warden writes.
            b'x' => jump(0x1110_0000),         // from_probe: its own, not executable.
            b'd' => load(0x1000_0000),         // A device region: not mapped here.
            b'm' => {
                let private = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
                system_call(libc::SYS_mmap, [0, 4096, 1, private, u64::MAX, 0]);
            }
            b'P' => system_call(libc::SYS_mprotect, [ORDER_AT, 4096, 3, 0, 0, 0]),
            b'O' => {
                let path = c"/etc/passwd".as_ptr() as u64;
                system_call(libc::SYS_openat, [libc::AT_FDCWD as u64, path, 0, 0, 0, 0]);
            }
            b's' => system_call(libc::SYS_socket, [1, 1, 0, 0, 0, 0]),
            b'S' => system_call(libc::SYS_sendmsg, [SOME_DESCRIPTOR, 0, 0, 0, 0, 0]),
            b'k' => system_call(libc::SYS_kill, [self.supervisor, 15, 0, 0, 0, 0]),
            b'K' => system_call(libc::SYS_kill, [1, 0, 0, 0, 0, 0]),
            b'G' => system_call(
                libc::SYS_tgkill,
                [self.supervisor, self.supervisor, 6, 0, 0, 0],
            ),
            b'F' => system_call(libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]),
            b'E' => {
                let path = c"/bin/true".as_ptr() as u64;
                system_call(libc::SYS_execve, [path, 0, 0, 0, 0, 0]);
            }
            b'T' => system_call(libc::SYS_ptrace, [16, self.supervisor, 0, 0, 0, 0]),
            b'W' => system_call(libc::SYS_write, [2, ORDER_AT, 1, 0, 0, 0]),
            b'R' => system_call(libc::SYS_read, [SOME_DESCRIPTOR, ORDER_AT, 1, 0, 0, 0]),
            b'c' => system_call(libc::SYS_timerfd_settime, [SOME_DESCRIPTOR, 0, 0, 0, 0, 0]),
            b'N' => system_call(
                libc::SYS_prctl,
                [libc::PR_SET_DUMPABLE as u64, 1, 0, 0, 0, 0],
            ),
            b'z' => system_call(libc::SYS_exit_group, [102, 0, 0, 0, 0, 0]),
            b'i' => system_call_32(),
            b'Z' => system_call(libc::SYS_exit_group, [0; 6]),
            b'A' => drop(std::hint::black_box(vec![1u8; 1 << 20])),
            b'p' => panic!("as ordered"),
            b'a' => std::process::abort(),
            b'u' => undefined_instruction(),
            b'v' => overflow_the_stack(0),
            b'g' => {
                let long = ['x'; 300].iter().collect::<String>();
                let _ = write!(
                    self.debug,
                    "one\ntwo \x1b[2J\u{9b}2J é\r\n{long}\nnever ended"
                );
            }
            b'D' | b'M' | b'V' | b'H' | b'n' | b'f' => {}
            other => panic!("no order {other}"),
        }
        if !self.waits {
            self.own.publish(SAID, DONE);
            self.notify.notify();
        }
    }

    fn notified(&mut self, ids: Ids) {
        assert!(ids.contains(CHANNEL));
        self.wakeups += 1;
        // Slow on purpose, so signals pile up.
        let slow = Instant::now();
        while slow.elapsed() < Duration::from_millis(2) {}
        if self.from_warden.load(1) == DONE {
            self.own.store(COUNT, self.wakeups);
            self.own.publish(SAID, DONE);
            self.notify.notify();
        }
    }
}

/// Has only a region, and does nothing. Tests in which others die check that it survives.
struct Bystander;

impl Bystander {
    fn start(_: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
        Ok(Box::new(Self))
    }
}

impl Component for Bystander {
    fn notified(&mut self, _: Ids) {}
}
