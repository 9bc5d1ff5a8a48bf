//! The Cadence UART of Zynq (AMD UG1085, "UART Controllers") as a console.
//!
//! Four things that real hardware needs and an emulator does not:
//!
//! - The receive interrupt comes when the FIFO reaches its trigger level. The level is set to one byte, so no timeout
//!   is needed. The interrupt is latched: it is cleared when the FIFO was seen empty, and the FIFO is then checked once
//!   more for a byte that came in between.
//! - Zynq UltraScale+ reports the errors of the next byte in the FIFO before it is read. Zynq-7000 and QEMU read as 0
//!   there.
//! - The transmit interrupt comes when the transmit FIFO has become empty. Its bit is cleared before the FIFO is
//!   filled, never after, because the FIFO could have emptied in between. So the interrupt may come once for a FIFO
//!   that was already empty.
//! - An overrun is reported when the FIFO has been read to its end, because that is where the bytes are missing.
//!
//! The boot firmware has set the line's speed and format.

use crate::{DAMAGED, Registers, Serial, fill, received};

const CONTROL: usize = 0x00;
const INTERRUPTS_ENABLE: usize = 0x08;
const INTERRUPTS_DISABLE: usize = 0x0c;
/// Writing 1 clears an interrupt.
const INTERRUPTS: usize = 0x14;
const RECEIVE_TRIGGER: usize = 0x20;
const STATUS: usize = 0x2c;
const FIFO: usize = 0x30;
/// Errors of the next byte.
const BYTE_STATUS: usize = 0x48;

/// In the control register: enable and disable are separate bits, and disable wins.
const RECEIVE_ON: u32 = 1 << 2;
const RECEIVE_OFF: u32 = 1 << 3;
const TRANSMIT_ON: u32 = 1 << 4;
const TRANSMIT_OFF: u32 = 1 << 5;
const ON: u32 = RECEIVE_ON | TRANSMIT_ON;
const OFF: u32 = RECEIVE_OFF | TRANSMIT_OFF;

/// In the status register.
const RECEIVE_EMPTY: u32 = 1 << 1;
const TRANSMIT_FULL: u32 = 1 << 4;

/// Interrupts: the receive FIFO has reached its trigger level; bytes were lost.
const RECEIVED: u32 = 1 << 0;
const OVERRUN: u32 = 1 << 5;
/// Interrupt: the transmit FIFO has become empty.
const TRANSMITTED: u32 = 1 << 3;
const INPUT: u32 = RECEIVED | OVERRUN;

/// Errors of the next byte: parity or framing; break.
const PARITY_OR_FRAMING: u32 = 0b11;
const BREAK: u32 = 1 << 2;

/// The device.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
    /// Bytes were lost after the last one in the FIFO.
    has_lost: bool,
}

impl<R: Registers> Uart<R> {
    /// Enables reception. Input typed before is still in the FIFO, and raises an interrupt.
    #[must_use]
    pub fn start(mut registers: R) -> Self {
        let control = registers.read(CONTROL);
        if control & (ON | OFF) != ON {
            registers.write(CONTROL, (control & !OFF) | ON);
        }
        registers.write(RECEIVE_TRIGGER, 1);
        registers.write(INTERRUPTS_DISABLE, u32::MAX);
        registers.write(INTERRUPTS, OVERRUN);
        registers.write(INTERRUPTS_ENABLE, INPUT);
        Self {
            registers,
            has_lost: false,
        }
    }

    fn interrupt_on(&mut self, interrupts: u32, wanted: bool) {
        let register = match wanted {
            true => INTERRUPTS_ENABLE,
            false => INTERRUPTS_DISABLE,
        };
        self.registers.write(register, interrupts);
    }

    fn is_empty(&mut self) -> bool {
        self.registers.read(STATUS) & RECEIVE_EMPTY != 0
    }

    /// Whether the FIFO is empty. Afterwards, the next byte raises an interrupt.
    fn has_ended(&mut self) -> bool {
        if !self.is_empty() {
            return false;
        }
        self.registers.write(INTERRUPTS, RECEIVED);
        self.is_empty()
    }
}

impl<R: Registers> Serial for Uart<R> {
    fn acknowledge(&mut self) {
        self.has_lost |= self.registers.read(INTERRUPTS) & OVERRUN != 0;
        self.registers.write(INTERRUPTS, OVERRUN | TRANSMITTED);
    }

    fn get(&mut self) -> Option<u8> {
        if self.has_ended() {
            return core::mem::take(&mut self.has_lost).then_some(DAMAGED);
        }
        let status = self.registers.read(BYTE_STATUS);
        let (is_break, is_damaged) = (status & BREAK != 0, status & PARITY_OR_FRAMING != 0);
        Some(received(self.registers.read(FIFO), is_break, is_damaged))
    }

    fn interrupt_on_input(&mut self, wanted: bool) {
        self.interrupt_on(INPUT, wanted);
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        fill(
            &mut self.registers,
            bytes,
            |registers| registers.read(STATUS) & TRANSMIT_FULL == 0,
            |registers, byte| registers.write(FIFO, byte),
        )
    }

    fn interrupt_on_room(&mut self, wanted: bool) {
        self.interrupt_on(TRANSMITTED, wanted);
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

    const DEPTH: usize = 64;

    /// Model of the device as in the manual.
    #[derive(Debug)]
    struct Model {
        /// Bytes and their status.
        received: VecDeque<(u8, u32)>,
        sent: Vec<u8>,
        /// The transmit FIFO, unless the model is always ready.
        transmit: Option<VecDeque<u8>>,
        /// Status reads until there is room to write.
        busy: usize,
        control: u32,
        trigger: u32,
        mask: u32,
        raised: u32,
        /// A byte that arrives right after the next status read that reports an empty FIFO.
        sneaks_in: Option<u8>,
        /// Whether a cleared interrupt is raised again while the FIFO is at its level. The manual does not say.
        is_level: bool,
    }

    impl Model {
        fn arrive(&mut self, byte: u8, status: u32) {
            if self.control & (RECEIVE_ON | RECEIVE_OFF) != RECEIVE_ON {
                return;
            }
            if self.received.len() == DEPTH {
                self.raised |= OVERRUN;
                return;
            }
            self.received.push_back((byte, status));
            self.raise();
        }

        fn raise(&mut self) {
            if self.received.len() >= self.trigger as usize {
                self.raised |= RECEIVED;
            }
        }

        /// The line transmits one byte.
        fn carry(&mut self) {
            let fifo = self.transmit.as_mut().unwrap();
            if let Some(byte) = fifo.pop_front() {
                self.sent.push(byte);
                // On becoming empty, not while it stays empty.
                if fifo.is_empty() {
                    self.raised |= TRANSMITTED;
                }
            }
        }

        fn interrupts(&self) -> bool {
            self.raised & self.mask != 0
        }
    }

    #[derive(Clone, Debug)]
    struct Device(Rc<RefCell<Model>>);

    impl Registers for Device {
        fn read(&mut self, offset: usize) -> u32 {
            let mut model = self.0.borrow_mut();
            match offset {
                CONTROL => model.control,
                INTERRUPTS => model.raised,
                STATUS => {
                    let empty = model.received.is_empty();
                    if empty && let Some(byte) = model.sneaks_in.take() {
                        model.arrive(byte, 0);
                    }
                    let waits = model.transmit.as_ref().map_or(0, VecDeque::len);
                    let full = model.busy > 0 || waits == DEPTH;
                    model.busy = model.busy.saturating_sub(1);
                    (u32::from(empty) * RECEIVE_EMPTY) | (u32::from(full) * TRANSMIT_FULL)
                }
                BYTE_STATUS => model.received.front().expect("there is a byte").1,
                FIFO => model
                    .received
                    .pop_front()
                    .expect("there is a byte")
                    .0
                    .into(),
                other => panic!("{other:#x} is not read"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            let mut model = self.0.borrow_mut();
            match offset {
                CONTROL => model.control = value,
                INTERRUPTS_ENABLE => model.mask |= value,
                INTERRUPTS_DISABLE => model.mask &= !value,
                INTERRUPTS => {
                    model.raised &= !value;
                    if model.is_level {
                        model.raise();
                    }
                }
                RECEIVE_TRIGGER => model.trigger = value,
                FIFO => {
                    assert_eq!(model.busy, 0, "there is room");
                    let byte = u8::try_from(value).unwrap();
                    match &mut model.transmit {
                        None => model.sent.push(byte),
                        Some(fifo) => {
                            assert!(fifo.len() < DEPTH, "there is room");
                            fifo.push_back(byte);
                        }
                    }
                }
                other => panic!("{other:#x} is not written"),
            }
        }
    }

    /// The device after reset: receiver and transmitter are off.
    fn device(is_level: bool) -> Device {
        Device(Rc::new(RefCell::new(Model {
            received: VecDeque::new(),
            sent: Vec::new(),
            transmit: None,
            busy: 0,
            control: 0x128,
            trigger: 0x20,
            mask: 0x1fff,
            raised: 0,
            sneaks_in: None,
            is_level,
        })))
    }

    fn read_all(uart: &mut Uart<Device>) -> Vec<u8> {
        core::iter::from_fn(|| uart.get()).collect()
    }

    #[test]
    fn it_switches_on_what_is_off_and_keeps_the_rest_of_the_control_register() {
        let device = device(true);
        let _uart = Uart::start(device.clone());
        assert_eq!(device.0.borrow().control, 0x114);
        assert_eq!(device.0.borrow().mask, RECEIVED | OVERRUN);
        assert_eq!(device.0.borrow().trigger, 1);
    }

    #[test]
    fn a_single_key_is_heard_and_what_is_left_unread_interrupts_still() {
        for is_level in [false, true] {
            let device = device(is_level);
            let mut uart = Uart::start(device.clone());
            device.0.borrow_mut().arrive(b'x', 0);
            assert!(device.0.borrow().interrupts());
            device.0.borrow_mut().arrive(b'y', 0);
            uart.acknowledge();
            assert_eq!(uart.get(), Some(b'x'));
            assert!(device.0.borrow().interrupts(), "there is one more");
            assert_eq!(read_all(&mut uart), b"y");
            assert!(!device.0.borrow().interrupts());
        }
    }

    #[test]
    fn a_byte_that_comes_while_the_interrupt_is_cleared_is_read() {
        for is_level in [false, true] {
            let device = device(is_level);
            let mut uart = Uart::start(device.clone());
            device.0.borrow_mut().arrive(b'x', 0);
            device.0.borrow_mut().sneaks_in = Some(b'y');
            uart.acknowledge();
            assert_eq!(read_all(&mut uart), b"xy");
            assert!(!device.0.borrow().interrupts());
            device.0.borrow_mut().arrive(b'z', 0);
            assert!(device.0.borrow().interrupts());
        }
    }

    #[test]
    fn a_damaged_byte_is_no_key_and_a_break_is_ctrl_c() {
        let device = device(true);
        let mut uart = Uart::start(device.clone());
        for (byte, status) in [(b'a', 0), (b'b', 1), (b'c', 2), (0, BREAK | 2), (0xe9, 0)] {
            device.0.borrow_mut().arrive(byte, status);
        }
        uart.acknowledge();
        assert_eq!(
            read_all(&mut uart),
            [b'a', DAMAGED, DAMAGED, INTERRUPT, 0xe9]
        );
    }

    #[test]
    fn bytes_that_were_lost_are_told_after_the_last_that_was_not() {
        let device = device(true);
        let mut uart = Uart::start(device.clone());
        for _ in 0..DEPTH + 3 {
            device.0.borrow_mut().arrive(b'a', 0);
        }
        uart.acknowledge();
        let mut expected = [b'a'; DEPTH].to_vec();
        expected.push(DAMAGED);
        assert_eq!(read_all(&mut uart), expected);
        assert!(!device.0.borrow().interrupts());
        device.0.borrow_mut().arrive(b'x', 0);
        assert_eq!(read_all(&mut uart), b"x", "and told once");
    }

    #[test]
    fn it_waits_for_room_to_write() {
        let device = device(true);
        let mut uart = Uart::start(device.clone());
        for byte in *b"hi" {
            device.0.borrow_mut().busy = 3;
            uart.write(byte);
        }
        assert_eq!(device.0.borrow().sent, b"hi");
    }

    #[test]
    fn a_line_that_is_slow_gets_every_byte_by_interrupts_and_nobody_waits() {
        let device = device(true);
        device.0.borrow_mut().transmit = Some(VecDeque::new());
        // Already set, as after a reset.
        device.0.borrow_mut().raised = TRANSMITTED;
        let mut uart = Uart::start(device.clone());
        assert!(!device.0.borrow().interrupts(), "nobody has asked for it");
        let text: Vec<u8> = (0..1000_u32).map(|i| i.to_le_bytes()[0]).collect();
        let mut next = uart.put(&text);
        assert_eq!(next, DEPTH, "what has room, and no more");
        uart.interrupt_on_room(true);
        let (mut interrupts, mut carried) = (0, 0);
        while device.0.borrow().sent.len() < text.len() {
            if device.0.borrow().interrupts() {
                interrupts += 1;
                uart.acknowledge();
                assert!(!device.0.borrow().interrupts());
                next += uart.put(&text[next..]);
                uart.interrupt_on_room(next < text.len());
            }
            device.0.borrow_mut().carry();
            carried += 1;
            assert!(carried < 2 * text.len(), "no interrupt came");
        }
        assert_eq!(device.0.borrow().sent, text);
        assert!(interrupts <= text.len() / DEPTH + 2, "{interrupts}");
        device.0.borrow_mut().raised |= TRANSMITTED;
        assert!(!device.0.borrow().interrupts(), "nothing is left to write");
    }

    #[test]
    fn input_that_is_not_wanted_does_not_interrupt_and_is_there_later() {
        let device = device(false);
        let mut uart = Uart::start(device.clone());
        uart.interrupt_on_input(false);
        device.0.borrow_mut().arrive(b'x', 0);
        assert!(!device.0.borrow().interrupts());
        uart.interrupt_on_input(true);
        assert!(device.0.borrow().interrupts());
        assert_eq!(uart.get(), Some(b'x'));
    }
}
