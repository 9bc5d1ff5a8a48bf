//! The hostile shell's own attacks.

use crate::clock::now_us;
use crate::{audit, kernel, machine, scheduling};
use core::fmt::Write as _;
use redteam_attacks::{Forger, Say, channel, place, read, write};
use sel4::{MessageInfo, cap};

/// Makes the attack with this letter. Returns its report.
pub(crate) fn perform(letter: u8) -> Say {
    let mut say = Say::new();
    let name = match letter {
        b's' => "invoke-all-slots",
        b'o' => "invoke-address-space",
        b'v' => "maintain-caches",
        b'u' => {
            // The device, too: number 1738 in seL4's issue tracker.
            kernel::maintain_caches([(crate::uart(), 0x1000)].into_iter(), &mut say);
            return say;
        }
        b'r' => "invoke-root-slots",
        b'c' => "copy-by-root",
        b'e' => "call-foreign-endpoints",
        b't' => "stop-audit",
        b'm' => {
            forge_faults();
            let _ = write!(say, "sent=3");
            return say;
        }
        b'f' => {
            (0..100_000).for_each(|_| audit().notify());
            let _ = write!(say, "signalled=100000");
            return say;
        }
        b'w' => {
            let until = now_us() + 3_000_000;
            while now_us() < until {
                storm();
            }
            let _ = write!(say, "stormed=3s");
            return say;
        }
        b'1'..=b'5' => {
            forge_indices(letter);
            let _ = write!(say, "forged");
            return say;
        }
        b'z' => return scheduling::watch(),
        b'A' => return tried(read, place::ARENA),
        b'L' => return tried(write, place::AUDIT_LOG),
        b'P' => return tried(read, place::POLICY),
        b'I' => return tried(write, place::OWN_RING),
        b'S' => return tried(read, place::STORE),
        b'R' => return tried(write, place::WATCHDOG_PHYSICAL),
        b'T' => return tried(write, place::TEXT),
        b'F' => {
            let value = machine::forbidden_float_register();
            let _ = write!(say, "SUCCEEDED: read {value:#x}");
            return say;
        }
        b'C' => {
            let value = machine::read_timer();
            let _ = write!(say, "SUCCEEDED: read {value:#x}");
            return say;
        }
        _ => "",
    };
    if !kernel::perform(name, &mut say) {
        let _ = write!(say, "UNKNOWN");
    }
    say
}

fn tried(attack: fn(usize, &mut Say), address: usize) -> Say {
    let mut say = Say::new();
    attack(address, &mut say);
    say
}

/// Forges the ring's indices; audit, which has higher priority, has looked at them before this continues. Then restores
/// the truth, because the honest shell continues from it.
fn forge_indices(letter: u8) {
    let forger = Forger::of_shell();
    let truth = forger.indices();
    match letter {
        b'1' => forger.publish(forger.epoch, forger.head.wrapping_add(1000)),
        b'2' => forger.publish(forger.epoch, forger.head.wrapping_sub(1)),
        b'3' => forger.publish(forger.epoch.wrapping_add(1), forger.head.wrapping_add(3)),
        b'4' => forger.publish_tail(0x8000_0000),
        _ => forger.scribble(now_us()),
    }
    audit().notify();
    forger.restore(&truth);
    audit().notify();
}

/// Messages to the monitor that look like faults: a memory fault, an unknown fault, and one with label 0, which passive
/// domains send.
fn forge_faults() {
    for (label, length) in [(6, 4), (0x7_7777, 120), (0, 0)] {
        let faults = cap::Endpoint::from_bits(2);
        faults.nb_send(MessageInfo::new(label, 0, 0, length));
    }
}

/// Makes the timer fire at once.
fn storm() {
    machine::write_timer(0, 1);
}

/// Makes the UART hold at most one character, so that each wakes the domain once.
///
/// # Safety
/// The registers of a PL011 are mapped at `uart`.
pub(crate) unsafe fn disable_fifo(uart: usize) {
    // UARTLCR_H, bit FEN.
    let control = (uart + 0x2c) as *mut u32;
    // SAFETY: a register of the device.
    let value = unsafe { control.read_volatile() };
    // SAFETY: as above.
    unsafe { control.write_volatile(value & !(1 << 4)) }
}

/// The receiving end of `timer-send`.
#[derive(Default)]
pub(crate) struct Receiver {
    words: u64,
    wrong: u64,
    looks: u64,
    first_us: u64,
    last_us: u64,
}

impl Receiver {
    /// Reads the register, and acknowledges a word there.
    pub(crate) fn take(&mut self) {
        let value = machine::read_timer();
        self.looks += 1;
        if !channel::is_word(value) {
            return;
        }
        if value == channel::word(self.words) {
            self.last_us = now_us();
            if self.words == 0 {
                self.first_us = self.last_us;
            }
            self.words += 1;
        } else if self.words == 0 || value != channel::word(self.words - 1) {
            self.wrong += 1;
            return;
        }
        // A word that was acknowledged before is acknowledged again, because audit may have overwritten the register.
        let taken = channel::taken(self.words - 1);
        machine::write_timer(taken, 0);
    }

    pub(crate) fn report(&self) -> Say {
        let mut say = Say::new();
        let us = self.last_us.saturating_sub(self.first_us).max(1);
        let bits = self.words.saturating_sub(1) * channel::BITS;
        let _ = write!(
            say,
            "received words={} wrong={} looks={} us={us} bits/s={}",
            self.words,
            self.wrong,
            self.looks,
            bits * 1_000_000 / us
        );
        say
    }
}
