//! The 16550A UART (National Semiconductor PC16550D) as a console. Registers are identified by number; the board
//! defines their spacing and width.
//!
//! Three things that real hardware needs and an emulator does not:
//!
//! - With the FIFO on, the receive interrupt comes at its trigger level, or four characters after the last one. One bit
//!   enables both, so a single key is noticed.
//! - The line status reports the errors of the next byte, and reading it clears them, so it is read once per byte.
//!   Damaged and lost bytes are delivered as [`DAMAGED`].
//! - A break on the line is delivered as Ctrl-C.
//!
//! The boot firmware has set the line's speed and format, and the FIFO on or off. All of it stays: switching the FIFO
//! would also lose what was typed before.
//!
//! The mini UART of BCM2835 to BCM2711 ("BCM2711 ARM Peripherals", "Mini UART") has these registers as 32-bit words, eight
//! places in each FIFO and neither a trigger level nor the bits for damaged bytes and breaks.

use crate::{DAMAGED, Registers, Serial, fill, received};

/// Receive buffer on reading, transmit buffer on writing.
const DATA: usize = 0;
const INTERRUPTS_ENABLED: usize = 1;
const LINE_STATUS: usize = 5;

/// Interrupts: received bytes, including the timeout; line status, for errors and breaks.
const RECEIVED: u32 = 1 << 0;
const LINE: u32 = 1 << 2;
const INPUT: u32 = RECEIVED | LINE;
/// Interrupt: there is room to write. With the FIFO on, that means it has become empty.
const TRANSMITTED: u32 = 1 << 1;

/// Line status bits: data ready; bytes were lost; parity or framing error; break; room to write.
const READY: u32 = 1 << 0;
const OVERRUN: u32 = 1 << 1;
const PARITY_OR_FRAMING: u32 = 0b11 << 2;
const BREAK: u32 = 1 << 4;
const ROOM: u32 = 1 << 5;

/// The device.
#[derive(Debug)]
pub struct Uart<R> {
    registers: R,
    /// Enabled interrupts.
    enabled: u32,
    /// Line status bits cleared by an earlier read: the errors of the next byte, and whether bytes were lost.
    errors: u32,
    /// Bytes were lost after the last byte read.
    has_lost: bool,
}

impl<R: Registers> Uart<R> {
    /// Enables reception. Input typed before is still in the FIFO, and raises an interrupt.
    #[must_use]
    pub fn start(mut registers: R) -> Self {
        registers.write(INTERRUPTS_ENABLED, INPUT);
        Self {
            registers,
            enabled: INPUT,
            errors: 0,
            has_lost: false,
        }
    }

    fn interrupt_on(&mut self, interrupts: u32, wanted: bool) {
        let enabled = match wanted {
            true => self.enabled | interrupts,
            false => self.enabled & !interrupts,
        };
        if enabled != self.enabled {
            self.registers.write(INTERRUPTS_ENABLED, enabled);
            self.enabled = enabled;
        }
    }

    /// The line status, including bits that an earlier read cleared.
    fn status(&mut self) -> u32 {
        let status = self.registers.read(LINE_STATUS);
        self.errors |= status & (OVERRUN | PARITY_OR_FRAMING | BREAK);
        status | self.errors
    }
}

impl<R: Registers> Serial for Uart<R> {
    // Reading the line status ends its interrupt. The receive interrupt ends when the bytes are read, so it comes again
    // for bytes that had to be left.
    fn acknowledge(&mut self) {
        self.status();
    }

    fn get(&mut self) -> Option<u8> {
        if core::mem::take(&mut self.has_lost) {
            return Some(DAMAGED);
        }
        let status = self.status();
        if status & READY == 0 {
            // There should be no overrun without a byte to read, but one that happens is reported.
            let errors = core::mem::take(&mut self.errors);
            return (errors & OVERRUN != 0).then_some(DAMAGED);
        }
        self.errors = 0;
        self.has_lost = status & OVERRUN != 0;
        let (is_break, is_damaged) = (status & BREAK != 0, status & PARITY_OR_FRAMING != 0);
        Some(received(self.registers.read(DATA), is_break, is_damaged))
    }

    fn interrupt_on_input(&mut self, wanted: bool) {
        self.interrupt_on(INPUT, wanted);
    }

    // Without the FIFO there is room for one byte; with it, the bit says that all sixteen places are free. Reading the
    // bit before every byte works for both.
    fn put(&mut self, bytes: &[u8]) -> usize {
        fill(
            self,
            bytes,
            |uart| uart.status() & ROOM != 0,
            |uart, byte| uart.registers.write(DATA, byte),
        )
    }

    // If the interrupt is enabled while there is room, it comes at once.
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

    const DEPTH: usize = 16;

    /// Model of the device as in the manual, with the FIFO on.
    #[derive(Debug, Default)]
    struct Model {
        /// The mini UART.
        is_mini: bool,
        /// Bytes and their errors.
        received: VecDeque<(u8, u32)>,
        sent: Vec<u8>,
        /// The transmit FIFO, unless the model is always ready.
        transmit: Option<VecDeque<u8>>,
        /// Status reads until there is room to write.
        busy: usize,
        enabled: u32,
        /// Bytes were lost since the status was read.
        overrun: bool,
        /// The line is idle, or the trigger level is reached.
        is_raised: bool,
    }

    /// The trigger level that firmware has set. Fewer bytes interrupt when the line goes idle.
    const LEVEL: usize = 8;

    impl Model {
        fn mini() -> Self {
            Self {
                is_mini: true,
                ..Self::default()
            }
        }

        fn arrive(&mut self, byte: u8, errors: u32) {
            let (depth, level, errors) = match self.is_mini {
                true => (DEPTH / 2, 1, 0),
                false => (DEPTH, LEVEL, errors),
            };
            if self.received.len() == depth {
                self.overrun = true;
                return;
            }
            self.received.push_back((byte, errors));
            self.is_raised |= self.received.len() >= level;
        }

        /// Four character times without a byte.
        fn rest(&mut self) {
            self.is_raised = !self.received.is_empty();
        }

        /// The line transmits one byte.
        fn carry(&mut self) {
            let byte = self.transmit.as_mut().unwrap().pop_front();
            self.sent.extend(byte);
        }

        fn has_room(&self) -> bool {
            self.busy == 0 && self.transmit.as_ref().is_none_or(VecDeque::is_empty)
        }

        fn interrupts(&self) -> bool {
            let errors = self
                .received
                .front()
                .is_some_and(|(_, errors)| *errors != 0);
            (self.is_raised && self.enabled & RECEIVED != 0)
                || ((errors || self.overrun) && self.enabled & LINE != 0)
                || (self.has_room() && self.enabled & TRANSMITTED != 0)
        }
    }

    #[derive(Clone, Debug, Default)]
    struct Device(Rc<RefCell<Model>>);

    impl Registers for Device {
        fn read(&mut self, offset: usize) -> u32 {
            let mut model = self.0.borrow_mut();
            match offset {
                DATA => {
                    let (byte, _) = model.received.pop_front().expect("there is a byte");
                    model.rest();
                    byte.into()
                }
                LINE_STATUS => {
                    let full = !model.has_room();
                    model.busy = model.busy.saturating_sub(1);
                    let overrun = core::mem::take(&mut model.overrun);
                    let errors = model
                        .received
                        .front_mut()
                        .map_or(0, |(_, errors)| core::mem::take(errors));
                    (u32::from(!model.received.is_empty()) * READY)
                        | (u32::from(overrun) * OVERRUN)
                        | errors
                        | (u32::from(!full) * ROOM)
                }
                other => panic!("{other:#x} is not read"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            let mut model = self.0.borrow_mut();
            match offset {
                DATA => {
                    assert!(model.has_room(), "there is room");
                    let byte = u8::try_from(value).unwrap();
                    match &mut model.transmit {
                        None => model.sent.push(byte),
                        Some(fifo) => fifo.push_back(byte),
                    }
                }
                INTERRUPTS_ENABLED => model.enabled = value,
                other => panic!("{other:#x} is not written"),
            }
        }
    }

    fn read_all(uart: &mut Uart<Device>) -> Vec<u8> {
        core::iter::from_fn(|| uart.get()).collect()
    }

    #[test]
    fn one_key_below_the_trigger_level_is_heard_and_what_is_left_interrupts_still() {
        let device = Device::default();
        device.0.borrow_mut().arrive(b'x', 0);
        let mut uart = Uart::start(device.clone());
        device.0.borrow_mut().arrive(b'y', 0);
        device.0.borrow_mut().rest();
        assert!(device.0.borrow().interrupts());
        uart.acknowledge();
        assert_eq!(uart.get(), Some(b'x'));
        uart.acknowledge();
        assert!(device.0.borrow().interrupts(), "there is one more");
        assert_eq!(read_all(&mut uart), b"y");
        assert!(!device.0.borrow().interrupts());
    }

    #[test]
    fn a_damaged_byte_is_no_key_and_a_break_is_ctrl_c_whoever_read_the_status_before() {
        for reads in 0..3 {
            let device = Device::default();
            let mut uart = Uart::start(device.clone());
            for (byte, errors) in [
                (0x61, 0),
                (0x62, 1 << 2),
                (0x63, 1 << 3),
                (0, BREAK | 1 << 3),
                (0xe9, 0),
            ] {
                device.0.borrow_mut().arrive(byte, errors);
            }
            device.0.borrow_mut().rest();
            let mut bytes = Vec::new();
            loop {
                for _ in 0..reads {
                    uart.acknowledge();
                    uart.write(b'.');
                }
                let Some(byte) = uart.get() else { break };
                bytes.push(byte);
            }
            assert_eq!(bytes, [b'a', DAMAGED, DAMAGED, INTERRUPT, 0xe9], "{reads}");
            assert!(!device.0.borrow().interrupts(), "no error is left");
        }
    }

    #[test]
    fn bytes_that_were_lost_are_told_once() {
        let device = Device::default();
        let mut uart = Uart::start(device.clone());
        for _ in 0..DEPTH + 3 {
            device.0.borrow_mut().arrive(b'a', 0);
        }
        assert!(device.0.borrow().interrupts());
        uart.acknowledge();
        let bytes = read_all(&mut uart);
        let (kept, damaged): (Vec<u8>, Vec<u8>) = bytes.iter().partition(|byte| **byte == b'a');
        assert_eq!((kept.len(), &damaged[..]), (DEPTH, &[DAMAGED][..]));
        device.0.borrow_mut().arrive(b'x', 0);
        assert_eq!(read_all(&mut uart), b"x");
        assert!(!device.0.borrow().interrupts());
    }

    #[test]
    fn a_mini_uart_gives_every_byte_tells_lost_ones_once_and_writes_by_interrupts() {
        let device = Device(Rc::new(RefCell::new(Model::mini())));
        device.0.borrow_mut().transmit = Some(VecDeque::new());
        let mut uart = Uart::start(device.clone());
        device.0.borrow_mut().arrive(b'x', BREAK);
        assert!(device.0.borrow().interrupts(), "the first byte is heard");
        uart.acknowledge();
        assert_eq!(read_all(&mut uart), b"x");
        for _ in 0..DEPTH / 2 + 2 {
            device.0.borrow_mut().arrive(b'a', 0);
        }
        uart.acknowledge();
        assert_eq!(
            read_all(&mut uart),
            [b'a', DAMAGED, b'a', b'a', b'a', b'a', b'a', b'a', b'a']
        );
        assert!(!device.0.borrow().interrupts());
        assert_eq!(uart.put(b"hello"), 1);
        uart.interrupt_on_room(true);
        assert!(!device.0.borrow().interrupts(), "there is no room");
        device.0.borrow_mut().carry();
        assert!(device.0.borrow().interrupts());
    }

    #[test]
    fn it_waits_for_room_to_write() {
        let device = Device::default();
        let mut uart = Uart::start(device.clone());
        for byte in *b"hi" {
            device.0.borrow_mut().busy = 3;
            uart.write(byte);
        }
        assert_eq!(device.0.borrow().sent, b"hi");
    }

    #[test]
    fn a_line_that_is_slow_gets_every_byte_by_interrupts_and_nobody_waits() {
        let device = Device::default();
        device.0.borrow_mut().transmit = Some(VecDeque::new());
        let mut uart = Uart::start(device.clone());
        assert!(!device.0.borrow().interrupts(), "nobody has asked for it");
        let text: Vec<u8> = (0..300_u32).map(|i| i.to_le_bytes()[0]).collect();
        let mut next = uart.put(&text);
        uart.interrupt_on_room(true);
        let mut carried = 0;
        while device.0.borrow().sent.len() < text.len() {
            device.0.borrow_mut().carry();
            carried += 1;
            assert!(carried < 2 * text.len(), "no interrupt came");
            if device.0.borrow().interrupts() {
                uart.acknowledge();
                next += uart.put(&text[next..]);
                uart.interrupt_on_room(next < text.len());
            }
        }
        assert_eq!(device.0.borrow().sent, text);
        assert!(!device.0.borrow().interrupts(), "nothing is left to write");
    }

    #[test]
    fn input_that_is_not_wanted_does_not_interrupt_and_is_there_later() {
        let device = Device::default();
        let mut uart = Uart::start(device.clone());
        uart.interrupt_on_input(false);
        device.0.borrow_mut().arrive(b'x', 0);
        device.0.borrow_mut().rest();
        assert!(!device.0.borrow().interrupts());
        uart.interrupt_on_input(true);
        assert!(device.0.borrow().interrupts());
        assert_eq!(uart.get(), Some(b'x'));
    }
}
