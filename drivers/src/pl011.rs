//! The PL011 UART (Arm DDI 0183) as a console.
//!
//! Four things that real hardware needs and an emulator does not:
//!
//! - With the FIFO on, the receive interrupt comes at its trigger level. For fewer keys there is the receive-timeout
//!   interrupt, 32 bits after the last one; without it, a single key would stay in the FIFO unnoticed.
//! - Each byte comes with four error bits. A damaged byte is not a key press, and nobody notices lost bytes unless they
//!   are reported: both are delivered as [`DAMAGED`].
//! - A line is slow: the FIFO holds what it transmits in a millisecond or two. So [`Serial::put`] takes what fits, and
//!   an interrupt says when there is more room: when the FIFO *falls* to its level. The FIFO must have been above the
//!   level before, so the caller fills it first.
//! - A break on the line is delivered as Ctrl-C.
//!
//! The boot firmware has set the line's speed and format, which depend on a clock unknown to this driver, and the FIFO
//! on or off. All of it stays: switching the FIFO would also lose what was typed before.

use crate::{DAMAGED, Registers, Serial, fill, received};

/// Data register; on reading, it includes the byte's error bits.
const DATA: usize = 0x00;
/// Writing anything clears an overrun.
const ERROR_CLEAR: usize = 0x04;
const FLAGS: usize = 0x18;
const CONTROL: usize = 0x30;
const FIFO_LEVELS: usize = 0x34;
const MASK: usize = 0x38;
const CLEAR: usize = 0x44;

/// Flags: nothing to read; no room to write.
const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_FULL: u32 = 1 << 5;

/// Control register: UART, transmitter and receiver enabled.
const ENABLED: u32 = 1 | (1 << 8) | (1 << 9);

/// Interrupt level of the receive FIFO. 0 is the lowest, an eighth: the earlier the interrupt, the less is lost while a
/// higher-priority domain runs.
const RECEIVE_LEVEL: u32 = 0b111 << 3;

/// Interrupt: the transmit FIFO has fallen to its level.
const TRANSMITTED: u32 = 1 << 5;

/// Interrupts: the receive FIFO has reached its level; it is not empty and the line is idle.
const RECEIVED: u32 = 1 << 4;
const RECEIVE_TIMEOUT: u32 = 1 << 6;
/// Error interrupts: framing, parity, break, overrun.
const ERRORS: u32 = 0b1111 << 7;

/// All interrupts that mean there is something to read.
const INPUT: u32 = RECEIVED | RECEIVE_TIMEOUT | ERRORS;

/// Error bits of a byte: framing or parity; break; bytes before it were lost.
const FRAMING_OR_PARITY: u32 = 0b11 << 8;
const BREAK: u32 = 1 << 10;
const OVERRUN: u32 = 1 << 11;

/// The device.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
    /// Bytes were lost after the last byte read.
    has_lost: bool,
    /// Enabled interrupts.
    mask: u32,
}

impl<R: Registers> Uart<R> {
    /// Enables reception. Input typed before is still in the FIFO, and raises an interrupt.
    #[must_use]
    pub fn start(mut registers: R) -> Self {
        let levels = registers.read(FIFO_LEVELS);
        registers.write(FIFO_LEVELS, levels & !RECEIVE_LEVEL);
        let control = registers.read(CONTROL);
        if control & ENABLED != ENABLED {
            registers.write(CONTROL, control | ENABLED);
        }
        registers.write(CLEAR, ERRORS);
        registers.write(MASK, INPUT);
        Self {
            registers,
            has_lost: false,
            mask: INPUT,
        }
    }

    fn interrupt_on(&mut self, interrupts: u32, wanted: bool) {
        let mask = match wanted {
            true => self.mask | interrupts,
            false => self.mask & !interrupts,
        };
        if mask != self.mask {
            self.registers.write(MASK, mask);
            self.mask = mask;
        }
    }
}

impl<R: Registers> Serial for Uart<R> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        fill(
            &mut self.registers,
            bytes,
            |registers| registers.read(FLAGS) & TRANSMIT_FULL == 0,
            |registers, byte| registers.write(DATA, byte),
        )
    }

    fn interrupt_on_room(&mut self, wanted: bool) {
        self.interrupt_on(TRANSMITTED, wanted);
    }

    fn get(&mut self) -> Option<u8> {
        if core::mem::take(&mut self.has_lost) {
            return Some(DAMAGED);
        }
        if self.registers.read(FLAGS) & RECEIVE_EMPTY != 0 {
            return None;
        }
        let data = self.registers.read(DATA);
        if data & OVERRUN != 0 {
            self.registers.write(ERROR_CLEAR, 0);
            self.has_lost = true;
        }
        let (is_break, is_damaged) = (data & BREAK != 0, data & FRAMING_OR_PARITY != 0);
        Some(received(data, is_break, is_damaged))
    }

    fn interrupt_on_input(&mut self, wanted: bool) {
        self.interrupt_on(INPUT, wanted);
    }

    /// Receive interrupts end when the bytes are read, so they come again for bytes that had to be left.
    fn acknowledge(&mut self) {
        self.registers.write(CLEAR, ERRORS | TRANSMITTED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::INTERRUPT;
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;
    use std::vec::Vec;

    const DEPTH: usize = 16;

    /// Model of the device as in the manual, with the FIFO on.
    #[derive(Debug)]
    struct Model {
        received: VecDeque<u32>,
        sent: Vec<u8>,
        /// The transmit FIFO, unless the model is always ready.
        transmit: Option<VecDeque<u8>>,
        /// Flag reads until there is room to write.
        busy: usize,
        control: u32,
        levels: u32,
        mask: u32,
        raw: u32,
        writes: Vec<(usize, u32)>,
    }

    impl Model {
        fn level(&self) -> usize {
            [2, 4, 8, 12, 14][((self.levels >> 3) & 7) as usize]
        }

        /// A byte arrives with its error bits.
        fn arrive(&mut self, data: u32) {
            if self.received.len() == DEPTH {
                *self.received.back_mut().unwrap() |= OVERRUN;
                self.raw |= 1 << 10;
                return;
            }
            self.received.push_back(data);
            self.raw |= ((data >> 8) & 7) << 7;
            if self.received.len() >= self.level() {
                self.raw |= RECEIVED;
            }
        }

        /// 32 bit times without a byte.
        fn rest(&mut self) {
            if !self.received.is_empty() {
                self.raw |= RECEIVE_TIMEOUT;
            }
        }

        /// The line transmits one byte.
        fn carry(&mut self) {
            let fifo = self.transmit.as_mut().unwrap();
            if let Some(byte) = fifo.pop_front() {
                self.sent.push(byte);
                let level = [2, 4, 8, 12, 14][(self.levels & 7) as usize];
                // On falling to its level, not while it is below.
                if fifo.len() == level {
                    self.raw |= TRANSMITTED;
                }
            }
        }

        fn interrupts(&self) -> bool {
            self.raw & self.mask != 0
        }
    }

    #[derive(Clone, Debug)]
    struct Device(Rc<RefCell<Model>>);

    impl Registers for Device {
        fn read(&mut self, offset: usize) -> u32 {
            let mut model = self.0.borrow_mut();
            match offset {
                DATA => {
                    let data = model
                        .received
                        .pop_front()
                        .expect("nothing is read from nothing");
                    if model.received.len() < model.level() {
                        model.raw &= !RECEIVED;
                    }
                    if model.received.is_empty() {
                        model.raw &= !RECEIVE_TIMEOUT;
                    }
                    data
                }
                FLAGS => {
                    let full = model.busy > 0
                        || model
                            .transmit
                            .as_ref()
                            .is_some_and(|fifo| fifo.len() == DEPTH);
                    model.busy = model.busy.saturating_sub(1);
                    let empty = model.received.is_empty();
                    (u32::from(empty) * RECEIVE_EMPTY) | (u32::from(full) * TRANSMIT_FULL)
                }
                CONTROL => model.control,
                FIFO_LEVELS => model.levels,
                other => panic!("{other:#x} is not read"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            let mut model = self.0.borrow_mut();
            match offset {
                DATA => {
                    assert_eq!(model.busy, 0, "there is room");
                    let byte = u8::try_from(value).unwrap();
                    match &mut model.transmit {
                        None => model.sent.push(byte),
                        Some(fifo) => {
                            assert!(fifo.len() < DEPTH, "there is room");
                            fifo.push_back(byte);
                        }
                    }
                    return;
                }
                CONTROL => model.control = value,
                FIFO_LEVELS => model.levels = value,
                MASK => model.mask = value,
                CLEAR => model.raw &= !value,
                ERROR_CLEAR => {}
                other => panic!("{other:#x} is not written"),
            }
            model.writes.push((offset, value));
        }
    }

    /// The device after reset, except for the FIFO.
    fn device() -> Device {
        Device(Rc::new(RefCell::new(Model {
            received: VecDeque::new(),
            sent: Vec::new(),
            transmit: None,
            busy: 0,
            control: 0x300,
            levels: 0x12,
            mask: 0,
            raw: 0,
            writes: Vec::new(),
        })))
    }

    fn read_all(uart: &mut Uart<Device>) -> Vec<u8> {
        core::iter::from_fn(|| uart.get()).collect()
    }

    #[test]
    fn it_starts_by_levels_control_stale_errors_and_at_last_the_mask() {
        let device = device();
        let _uart = Uart::start(device.clone());
        assert_eq!(
            device.0.borrow().writes,
            [
                (FIFO_LEVELS, 0x02),
                (CONTROL, 0x301),
                (CLEAR, 0x780),
                (MASK, 0x7d0)
            ]
        );
        // The firmware that enabled it has set its speed, so the driver leaves those registers alone.
        device.0.borrow_mut().writes.clear();
        let _uart = Uart::start(device.clone());
        assert!(
            device
                .0
                .borrow()
                .writes
                .iter()
                .all(|(offset, _)| *offset != CONTROL)
        );
    }

    #[test]
    fn one_key_below_the_level_of_the_fifo_is_heard() {
        let device = device();
        let mut uart = Uart::start(device.clone());
        device.0.borrow_mut().arrive(u32::from(b'x'));
        assert!(!device.0.borrow().interrupts(), "the level is two");
        device.0.borrow_mut().rest();
        assert!(device.0.borrow().interrupts());
        uart.acknowledge();
        assert_eq!(read_all(&mut uart), b"x");
        assert!(!device.0.borrow().interrupts(), "it ends with the reading");
    }

    #[test]
    fn what_is_left_unread_and_what_was_typed_before_the_start_interrupts() {
        let device = device();
        for byte in b"ab" {
            device.0.borrow_mut().arrive(u32::from(*byte));
        }
        device.0.borrow_mut().rest();
        let mut uart = Uart::start(device.clone());
        assert!(device.0.borrow().interrupts());
        uart.acknowledge();
        assert_eq!(uart.get(), Some(b'a'));
        uart.acknowledge();
        assert!(device.0.borrow().interrupts(), "there is one more");
        assert_eq!(read_all(&mut uart), b"b");
        assert!(!device.0.borrow().interrupts());
    }

    #[test]
    fn a_damaged_byte_is_no_key_and_a_break_is_ctrl_c() {
        let device = device();
        let mut uart = Uart::start(device.clone());
        let framing = 1 << 8;
        let parity = 1 << 9;
        for data in [
            0x61,
            0x62 | framing,
            0x63 | parity,
            BREAK,
            BREAK | framing,
            0xe9,
        ] {
            device.0.borrow_mut().arrive(data);
        }
        assert!(device.0.borrow().interrupts());
        uart.acknowledge();
        assert_eq!(
            read_all(&mut uart),
            [b'a', DAMAGED, DAMAGED, INTERRUPT, INTERRUPT, 0xe9]
        );
        assert!(!device.0.borrow().interrupts(), "no error is left");
    }

    #[test]
    fn bytes_that_were_lost_are_told_after_the_last_that_was_not() {
        let device = device();
        let mut uart = Uart::start(device.clone());
        for byte in 0..DEPTH + 3 {
            device
                .0
                .borrow_mut()
                .arrive(u32::try_from(byte).unwrap() + 0x41);
        }
        assert!(device.0.borrow().interrupts());
        uart.acknowledge();
        let mut expected = b"ABCDEFGHIJKLMNOP".to_vec();
        expected.push(DAMAGED);
        assert_eq!(read_all(&mut uart), expected);
        assert!(device.0.borrow().writes.contains(&(ERROR_CLEAR, 0)));
        assert!(!device.0.borrow().interrupts());
        device.0.borrow_mut().arrive(u32::from(b'x'));
        assert_eq!(read_all(&mut uart), b"x", "and told once");
    }

    #[test]
    fn a_line_that_is_slow_gets_every_byte_by_interrupts_and_nobody_waits() {
        let device = device();
        device.0.borrow_mut().transmit = Some(VecDeque::new());
        let mut uart = Uart::start(device.clone());
        let text: Vec<u8> = (0..1000u32).map(|i| i.to_le_bytes()[0]).collect();
        let mut next = uart.put(&text);
        assert_eq!(next, DEPTH, "what has room, and no more");
        uart.interrupt_on_room(true);
        let (mut interrupts, mut carried) = (0, 0);
        while device.0.borrow().sent.len() < text.len() {
            device.0.borrow_mut().carry();
            carried += 1;
            assert!(carried < 2 * text.len(), "no interrupt came");
            if device.0.borrow().interrupts() {
                interrupts += 1;
                uart.acknowledge();
                assert!(!device.0.borrow().interrupts());
                next += uart.put(&text[next..]);
                uart.interrupt_on_room(next < text.len());
            }
        }
        assert_eq!(device.0.borrow().sent, text);
        assert!(
            interrupts <= text.len() / 8 + 1,
            "one for each half of the FIFO: {interrupts}"
        );
        device.0.borrow_mut().raw |= TRANSMITTED;
        assert!(!device.0.borrow().interrupts(), "nothing is left to write");
    }

    #[test]
    fn input_that_is_not_wanted_does_not_interrupt_and_is_there_later() {
        let device = device();
        let mut uart = Uart::start(device.clone());
        uart.interrupt_on_input(false);
        device.0.borrow_mut().arrive(u32::from(b'x'));
        device.0.borrow_mut().rest();
        assert!(!device.0.borrow().interrupts());
        uart.interrupt_on_input(true);
        assert!(device.0.borrow().interrupts());
        assert_eq!(uart.get(), Some(b'x'));
    }

    #[test]
    fn it_waits_for_room_to_write() {
        let device = device();
        let mut uart = Uart::start(device.clone());
        for byte in *b"hi" {
            device.0.borrow_mut().busy = 3;
            uart.write(byte);
        }
        assert_eq!(device.0.borrow().sent, b"hi");
    }
}
