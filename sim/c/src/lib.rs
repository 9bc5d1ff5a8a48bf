//! The simulation in place of libmicrokit: a static library that makes a domain out of a client's C code.
//!
//! Responsible for: the program's `main`, its variables (`patch`), and the functions of `include/microkit.h`, which
//! says how to use them.
//!
//! The rule that keeps the two runtimes alike: the C code is the same, and gets nothing here that libmicrokit and the
//! Microkit tool would not give it. A mistake there is a mistake here.

#![allow(unsafe_code)]

mod patch;

use nix::sys::signal::{SigHandler, Signal, signal};
use sim::pd::{Component, DebugOutput, Environment, Ids, Notifier, SetupError};
use std::ffi::{CStr, c_char, c_int, c_uint};
use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Numbers of channels and interrupts are below it.
const CHANNELS: usize = 62;
/// Bytes of [`microkit_name`], including its terminating zero.
const NAME_BYTES: usize = 64;

unsafe extern "C" {
    /// The client's start.
    fn init();
    /// Something has arrived on one of the client's channels.
    fn notified(channel: c_uint);
}

/// The domain's name, terminated by a zero. Written before the C code runs, and never again.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static mut microkit_name: [c_char; NAME_BYTES] = [0; NAME_BYTES];

/// The channels that the domain may notify.
static NOTIFIERS: OnceLock<[Option<Notifier>; CHANNELS]> = OnceLock::new();
/// The domain's debug output.
static DEBUG: Mutex<Option<DebugOutput>> = Mutex::new(None);

/// The program. It returns only if it could not become a domain.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> c_int {
    // Rust programs do the same: writing to a reader that is gone is then an error, and does not end the process.
    // SAFETY: no handler is installed.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    sim::run_domain(start).into()
}

struct Client;

fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    // SAFETY: this is before `init`, and Rust code knows nothing of the C code's variables.
    unsafe { patch::set(env.variables())? };
    set_name(env.domain());
    let notifier = |id: usize| env.notifier(id as u8).ok();
    // Set once: a process starts once.
    let _ = NOTIFIERS.set(std::array::from_fn(notifier));
    *DEBUG.lock().unwrap_or_else(PoisonError::into_inner) = Some(env.debug_output());
    Ok(Box::new(Client))
}

/// Sets the domain's name. Longer names are cut, as by the Microkit tool.
fn set_name(name: &str) {
    let places = &raw mut microkit_name;
    let kept = name.bytes().take(NAME_BYTES - 1);
    for (index, byte) in kept.enumerate() {
        // SAFETY: the process has one thread, and no C code runs yet; the index is below the size.
        unsafe { (*places)[index] = byte.cast_signed() };
    }
}

impl Component for Client {
    fn init(&mut self) {
        // SAFETY: it is the program's own function, called once and before any other, as libmicrokit does.
        unsafe { init() }
    }

    fn notified(&mut self, ids: Ids) {
        for id in (0..CHANNELS as u8).filter(|id| ids.contains(*id)) {
            // SAFETY: as above, after `init`, from the one thread.
            unsafe { notified(id.into()) }
        }
    }
}

/// Calls `say` with the debug output, once that is set.
fn debug(say: impl FnOnce(&mut DebugOutput)) {
    let mut output = DEBUG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(output) = &mut *output {
        say(output);
    }
}

/// Wakes the peer on a channel.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_notify(channel: c_uint) {
    let notifiers = NOTIFIERS.get().map_or(&[][..], |notifiers| notifiers);
    match notifiers.get(channel as usize).copied().flatten() {
        Some(notifier) => notifier.notify(),
        // The same words as libmicrokit's.
        None => debug(|output| {
            let _ = writeln!(output, "microkit_notify: invalid channel given '{channel}'");
        }),
    }
}

/// As [`microkit_notify`].
#[unsafe(no_mangle)]
pub extern "C" fn microkit_deferred_notify(channel: c_uint) {
    microkit_notify(channel);
}

/// Does nothing: the simulation's stand-ins for interrupts need no acknowledgement.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_irq_ack(_: c_uint) {}

/// As [`microkit_irq_ack`].
#[unsafe(no_mangle)]
pub extern "C" fn microkit_deferred_irq_ack(_: c_uint) {}

/// Writes a character.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_dbg_putc(character: c_int) {
    debug(|output| output.put(character.to_le_bytes()[0]));
}

/// Writes a string, or nothing for a null pointer.
///
/// # Safety
/// `text` is null, or terminated by a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn microkit_dbg_puts(text: *const c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    debug(|output| text.to_bytes().iter().for_each(|byte| output.put(*byte)));
}

/// Writes a number in decimal.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_dbg_put8(number: u8) {
    microkit_dbg_put32(number.into());
}

/// Writes a number in decimal.
#[unsafe(no_mangle)]
pub extern "C" fn microkit_dbg_put32(number: u32) {
    debug(|output| {
        let _ = write!(output, "{number}");
    });
}
