//! The UART as text.

use core::fmt;
use runtime::Serial as _;
use runtime::board;

pub(crate) struct Console(board::Console);

impl Console {
    /// `base` is the UART's address, as written by the Microkit tool.
    pub(crate) fn new(base: usize) -> Self {
        // SAFETY: `system.xml` maps the board's UART there, only to this domain. The domain has one thread, and a panic
        // handler writes only after everything else.
        Self(unsafe { board::console(base) })
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.0.write(b'\r');
            }
            self.0.write(byte);
        }
        Ok(())
    }
}

/// Misbehaviour that the runner must detect.
#[cfg(any(
    feature = "wrong",
    feature = "panic",
    feature = "fault",
    feature = "silence"
))]
pub(crate) fn misbehave(console: &mut Console) {
    use core::fmt::Write as _;
    let _ = write!(console, "test misbehaviour ... ");
    #[cfg(feature = "wrong")]
    let _ = crate::TALLY.fail(console, format_args!("as it was asked to"));
    #[cfg(feature = "panic")]
    panic!("as it was asked to");
    #[cfg(feature = "fault")]
    // SAFETY: nothing is mapped there, so the kernel stops this domain.
    unsafe {
        core::ptr::write_volatile(0x1000 as *mut u8, 1);
    }
    #[cfg(feature = "silence")]
    loop {
        core::hint::spin_loop();
    }
}
