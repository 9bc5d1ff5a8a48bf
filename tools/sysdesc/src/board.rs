//! Boards: `boards/NAME.toml`, with the addresses and interrupts that a description names.
//!
//! A description says `phys_addr="board:uart"` and `irq="board:uart"` where the number depends on the board.
//! [`Board::resolve`] fills in the numbers. The Microkit tool rejects the names, so nobody builds the unprocessed file
//! by mistake. A description with its own numbers is for one board, and is left unchanged.

mod check;
mod error;
mod resolve;

pub use check::names;

pub use error::BoardError;

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Highest interrupt number of the GIC and the PLIC.
const MAX_IRQ: u64 = 1023;
/// Where the files are, from the root of the repository.
pub const FOLDER: &str = "boards";

/// An architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// AArch64 with hypervisor support.
    #[default]
    Aarch64,
    /// 64-bit RISC-V with Sv39.
    Riscv64,
}

/// A driver of `drivers/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Driver {
    Pl011,
    CadenceUart,
    Ns16550a,
    Pl031,
    Bcm2835Timer,
    CadenceTtc,
    GoldfishRtc,
    GenericTimer,
}

/// A board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Name of its file, and of the board in the SDK.
    pub name: String,
    /// Its processor.
    pub arch: Arch,
    /// Whether every domain can read the processor's counter.
    pub counter: bool,
    /// Ticks per second of the processor's counter, if the processor does not report it.
    pub counter_hertz: Option<u64>,
    /// Devices, by their names in descriptions.
    pub devices: BTreeMap<String, Device>,
    /// Options of its kernel that differ from other boards, for the isolation checker.
    pub kernel: BTreeMap<String, bool>,
    /// How it is emulated.
    pub emulation: Emulation,
}

/// How a board is emulated: words of a command line. A word contains no spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emulation {
    /// The emulator with its machine; `None` if the board has no emulator.
    pub command: Option<String>,
    /// The options that boot an image; `{image}` stands for its file.
    pub boot: Option<String>,
    /// Options that add a disk; `{disk}` is replaced by its image. `None` if there is no driver for a disk of the
    /// board.
    pub disk: Option<String>,
    /// Memory of the board, in QEMU's notation.
    pub memory: Option<String>,
    /// The address at which the image begins, if the emulator wants it with U-Boot's header.
    pub uimage: Option<String>,
}

/// A device of a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its driver; `None` for a device of an integrator's own component.
    #[serde(default)]
    pub driver: Option<Driver>,
    /// Physical address of its registers, if they are memory.
    #[serde(default)]
    pub address: Option<u64>,
    /// Size of its registers in bytes. What follows may be another device.
    #[serde(default)]
    pub size: Option<u64>,
    /// Offset of its first register from [`Self::address`] in bytes, for a device that does not begin with a page.
    #[serde(default)]
    pub registers: u64,
    /// Frequency of its clock in Hz, for drivers that must know it.
    #[serde(default)]
    pub hertz: Option<u32>,
    /// The frequency for a model of the device with narrower registers, if it differs.
    #[serde(default)]
    pub narrow_hertz: Option<u32>,
    /// Size of a register, and distance between registers, in bytes.
    #[serde(default = "four")]
    pub register_bytes: u8,
    /// Interrupts, by their names in descriptions.
    #[serde(default)]
    pub interrupts: BTreeMap<String, Interrupt>,
}

const fn yes() -> bool {
    true
}

const fn four() -> u8 {
    4
}

/// An interrupt of a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Interrupt {
    /// `None` if it has no number of its own, because it arrives as another interrupt of the same device.
    Number(u64),
    /// It has none of its own: it arrives as this interrupt of the same device.
    With(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    arch: Arch,
    #[serde(default = "yes")]
    counter: bool,
    counter_hertz: Option<u64>,
    devices: BTreeMap<String, Device>,
    #[serde(default)]
    kernel: BTreeMap<String, bool>,
    emulator: Option<String>,
    boot: Option<String>,
    disk: Option<String>,
    memory: Option<String>,
    uimage: Option<String>,
}

impl Arch {
    /// The end of seL4's user address space: no mapping reaches this address.
    #[must_use]
    pub const fn virtual_end(self) -> u64 {
        match self {
            // 40 bits with hypervisor support.
            Self::Aarch64 => 1 << 40,
            // 38 bits of Sv39, except the last page.
            Self::Riscv64 => (1 << 38) - 0x1000,
        }
    }

    /// End of the physical addresses at which a device may lie, if the architecture sets one.
    ///
    /// On AArch64 a domain can have the kernel clean the domain's mappings from the cache. The kernel accesses them
    /// through its own window, which ends here, so the owner of a device beyond it could abort the kernel (seL4's
    /// tracker, number 1738).
    #[must_use]
    pub const fn device_end(self) -> Option<u64> {
        match self {
            Self::Aarch64 => Some(0x7f_c000_0000),
            Self::Riscv64 => None,
        }
    }

    /// Its name, as in the SDK.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
        }
    }
}

impl Driver {
    /// A description of the device.
    #[must_use]
    pub const fn model(self) -> &'static str {
        match self {
            Self::Pl011 => "PL011",
            Self::CadenceUart => "Cadence UART",
            Self::Ns16550a => "16550A",
            Self::Pl031 => "PL031",
            Self::Bcm2835Timer => "BCM2835 system timer",
            Self::CadenceTtc => "triple timer counter",
            Self::GoldfishRtc => "goldfish RTC",
            Self::GenericTimer => "generic timer",
        }
    }

    /// Whether its registers are memory.
    const fn has_registers(self) -> bool {
        !matches!(self, Self::GenericTimer)
    }

    /// Whether it must know the frequency of its device's clock.
    const fn wants_hertz(self) -> bool {
        matches!(self, Self::CadenceTtc)
    }
}

impl Board {
    /// The board of this name among the files of a folder.
    ///
    /// # Errors
    /// There is no such board (the error lists those there are), or its file is wrong.
    pub fn find(folder: &Path, name: &str) -> Result<Self, BoardError> {
        let path = folder.join(format!("{name}.toml"));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !name.bytes().all(plain) || !path.is_file() {
            let (name, known) = (name.to_owned(), names(folder));
            return Err(BoardError::Unknown { name, known });
        }
        let text = std::fs::read_to_string(&path).map_err(|source| BoardError::Read {
            path: path.clone(),
            source,
        })?;
        Self::parse(name, &text)
    }

    /// All boards that have a file in a folder, by name.
    ///
    /// # Errors
    /// A file is wrong.
    pub fn all(folder: &Path) -> Result<Vec<Self>, BoardError> {
        let found = names(folder).into_iter();
        found.map(|name| Self::find(folder, &name)).collect()
    }

    /// Reads a board's file.
    ///
    /// # Errors
    /// The first error.
    pub fn parse(name: &str, text: &str) -> Result<Self, BoardError> {
        let board = name.to_owned();
        let file: File = toml::from_str(text).map_err(|source| BoardError::Toml {
            board,
            source: Box::new(source),
        })?;
        let board = Self {
            name: name.to_owned(),
            arch: file.arch,
            counter: file.counter,
            counter_hertz: file.counter_hertz,
            devices: file.devices,
            kernel: file.kernel,
            emulation: Emulation {
                command: file.emulator,
                boot: file.boot,
                disk: file.disk,
                memory: file.memory,
                uimage: file.uimage,
            },
        };
        let boot = board.emulation.boot.as_deref();
        if boot.is_some_and(|boot| !boot.contains("{image}")) {
            return Err(BoardError::Boot { board: board.name });
        }
        board.check()?;
        Ok(board)
    }

    /// The board that tools use when it does not matter: QEMU's with a Cortex-A53.
    ///
    /// # Panics
    /// Never: a test reads the file that is built in.
    #[must_use]
    pub fn usual() -> Self {
        const TEXT: &str = include_str!("../../../boards/qemu_virt_aarch64.toml");
        Self::parse("qemu_virt_aarch64", TEXT).expect("a test reads it")
    }

    /// The device and number of an interrupt. `None` for one that arrives as another, or that no device has.
    #[must_use]
    pub fn interrupt(&self, name: &str) -> Option<(&Device, u64)> {
        self.devices
            .values()
            .find_map(|device| match device.interrupts.get(name)? {
                Interrupt::Number(number) => Some((device, *number)),
                Interrupt::With(_) => None,
            })
    }

    /// The name in descriptions of the interrupt with this number.
    #[must_use]
    pub fn interrupt_name(&self, number: u64) -> Option<&str> {
        self.interrupts()
            .find(|(_, _, other)| *other == number)
            .map(|(_, name, _)| name)
    }

    /// Whether an interrupt of this name is known, with or without a number.
    #[must_use]
    pub fn has_interrupt(&self, name: &str) -> bool {
        self.devices
            .values()
            .any(|device| device.interrupts.contains_key(name))
    }

    /// Device, name and number of all interrupts that have one.
    fn interrupts(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.devices.iter().flat_map(|(device, of)| {
            of.interrupts
                .iter()
                .filter_map(move |(name, interrupt)| match interrupt {
                    Interrupt::Number(number) => Some((device.as_str(), name.as_str(), *number)),
                    Interrupt::With(_) => None,
                })
        })
    }
}
