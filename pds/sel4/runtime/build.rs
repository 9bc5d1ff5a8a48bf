//! Makes the module `board` from the board's file: the drivers of the console and of the clocks. make sets
//! `SEL4_LLM_BOARD` to the board's name.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use sysdesc::board::{Arch, Board, Device, Driver, FOLDER};

fn main() {
    println!("cargo::rerun-if-env-changed=SEL4_LLM_BOARD");
    let name = std::env::var("SEL4_LLM_BOARD")
        .unwrap_or_else(|_| fail("SEL4_LLM_BOARD has no board's name: build with make"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../..")
        .join(FOLDER);
    println!("cargo::rerun-if-changed={}", folder.display());
    let board = Board::find(&folder, &name).unwrap_or_else(|error| fail(&error.to_string()));
    let target = std::env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    if target != board.arch.name() {
        let arch = board.arch.name();
        fail(&format!(
            "board '{name}' is {arch}, and this is built for {target}"
        ));
    }
    // Whether audit's timer has an interrupt other than the watchdog's.
    println!(
        "cargo::metadata=timer_interrupt={}",
        board.interrupt("timer").is_some()
    );
    // Whether every domain can write the generic timer's registers.
    let is_open = board
        .kernel
        .get("EXPORT_PTMR_USER")
        .is_some_and(|open| *open);
    println!("cargo::metadata=timer_registers={is_open}");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(out.join("board.rs"), module(&board, &out)).expect("OUT_DIR can be written");
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    std::process::exit(1);
}

fn module(board: &Board, out: &Path) -> String {
    println!("cargo::rustc-check-cfg=cfg(counter)");
    if board.counter {
        println!("cargo::rustc-cfg=counter");
    }
    let uart = device(board, "uart");
    let console = match uart.driver {
        Some(Driver::Pl011) => "pl011",
        Some(Driver::CadenceUart) => "cadence_uart",
        Some(Driver::Ns16550a) => "ns16550a",
        other => fail(&format!(
            "boards/{}.toml: {other:?} of device 'uart' is no console",
            board.name
        )),
    };
    let watchdog = device(board, "watchdog");
    let (kind, made) = match watchdog.driver {
        Some(Driver::Pl031) if board.arch == Arch::Aarch64 => (
            "drivers::Apart<drivers::generic_timer::Timer<Counter>, drivers::pl031::Alarm<Device>>"
                .to_owned(),
            "drivers::Apart {
        clock: drivers::generic_timer::Timer::new(Counter),
        watchdog: drivers::pl031::Alarm::start(device),
    }"
            .to_owned(),
        ),
        Some(Driver::CadenceTtc) => {
            let wide = watchdog.hertz.unwrap_or_default();
            let narrow = watchdog.narrow_hertz.unwrap_or(wide);
            (
                "drivers::cadence_ttc::Timers<Device>".to_owned(),
                format!(
                    "let hertz = drivers::cadence_ttc::Hertz {{ wide: {wide}, narrow: {narrow} }};
    drivers::cadence_ttc::Timers::start(device, hertz)"
                ),
            )
        }
        Some(Driver::Bcm2835Timer) => (
            "drivers::bcm2835_timer::Timer<Device>".to_owned(),
            "drivers::bcm2835_timer::Timer::start(device)".to_owned(),
        ),
        Some(Driver::GoldfishRtc) => (
            "drivers::goldfish_rtc::Rtc<Device, Counter>".to_owned(),
            "drivers::goldfish_rtc::Rtc::start(device, Counter)".to_owned(),
        ),
        other => fail(&format!(
            "boards/{}.toml: {other:?} of device 'watchdog' is none on {}",
            board.name,
            board.arch.name()
        )),
    };
    let mut text = String::new();
    let mut line = |written: std::fmt::Arguments<'_>| {
        text.write_fmt(written).expect("a String takes everything");
    };
    if board.arch == Arch::Riscv64 {
        let Some(hertz) = board.counter_hertz else {
            fail(&format!(
                "boards/{}.toml has no counter_hertz, which RISC-V does not tell",
                board.name
            ));
        };
        std::fs::write(out.join("counter_hertz.rs"), hertz.to_string())
            .expect("OUT_DIR can be written");
    }
    line(format_args!(
        "
/// The console's driver.
pub type Console = drivers::{console}::Uart<Device>;

/// The board's console, which begins to listen.
///
/// # Safety
/// As for [`Device::new`], with the registers of the board's `uart` at `base`.
#[must_use]
pub unsafe fn console(base: usize) -> Console {{
    // SAFETY: the caller's promise.
    drivers::{console}::Uart::start(unsafe {{ Device::new({}, {}) }})
}}

/// The driver of clock and watchdog.
pub type Timekeeper = {kind};

/// The board's clock and watchdog, which begins to tick.
///
/// # Safety
/// As for [`Device::new`], with the registers of the board's `watchdog` at `base`.
#[must_use]
pub unsafe fn timekeeper(base: usize) -> Timekeeper {{
    // SAFETY: the caller's promise.
    let device = unsafe {{ Device::new({}, {}) }};
    {made}
}}
",
        first_register(uart),
        width(uart),
        first_register(watchdog),
        width(watchdog)
    ));
    text
}

fn device<'b>(board: &'b Board, name: &str) -> &'b Device {
    board.devices.get(name).unwrap_or_else(|| {
        fail(&format!(
            "boards/{}.toml has no device '{name}'",
            board.name
        ))
    })
}

/// Where a device's registers begin, after the beginning of its page.
fn first_register(device: &Device) -> String {
    match device.registers {
        0 => "base".to_owned(),
        bytes => format!("base + {bytes:#x}"),
    }
}

const fn width(device: &Device) -> &'static str {
    match (device.register_bytes, device.driver) {
        (1, _) => "Width::Byte",
        (_, Some(Driver::Ns16550a)) => "Width::Numbered",
        _ => "Width::Word",
    }
}
