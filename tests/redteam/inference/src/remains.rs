//! What a run leaves behind, and what the next one finds.

use crate::machine;
use crate::start::STACK_BOTTOM;
use core::fmt::{self, Display, Formatter};
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SECRET: u64 = 0x5ec2_e75e_c2e7_5ec3;

/// Bytes of the stack that are left out of the search: more than are in use.
const IN_USE: usize = 0x8000;

static IN_DATA: AtomicU64 = AtomicU64::new(1);
static IN_BSS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// Numbers of words and registers that still have content of the previous run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remains {
    arena: usize,
    stack: usize,
    data: usize,
    registers: usize,
    control: u64,
}

impl Display for Remains {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            arena,
            stack,
            data,
            registers,
            control,
        } = self;
        write!(
            f,
            "arena={arena} stack={stack} data={data} registers={registers} fpcr={control:#x}"
        )
    }
}

/// Number of floating-point registers, among those that earlier code does not use, that contain the secret.
pub(crate) fn registers() -> usize {
    let values = machine::float_registers();
    values.iter().filter(|value| **value == SECRET).count()
}

/// Looks for remains of the previous run, after start-up has cleaned up.
pub(crate) fn look(arena: &[u8], registers: usize) -> Remains {
    let here = core::hint::black_box(&raw const registers as usize);
    let words = (STACK_BOTTOM..here - IN_USE).step_by(8);
    let stack = words.filter(|at| {
        // SAFETY: in the stack, which is mapped.
        let word = unsafe { core::ptr::read_volatile(*at as *const u64) };
        word != 0
    });
    let data = IN_BSS.iter().filter(|word| word.load(Relaxed) != 0).count();
    let control = machine::float_control();
    Remains {
        arena: words_of(arena).filter(|word| *word != 0).count(),
        stack: stack.count(),
        data: data + usize::from(IN_DATA.load(Relaxed) != 1),
        registers,
        control,
    }
}

fn words_of(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (words, _) = bytes.as_chunks();
    words.iter().copied().map(u64::from_le_bytes)
}

/// Leaves the secret everywhere, including in this part of the arena, and dies.
pub(crate) fn leave(arena: Range<usize>) -> ! {
    IN_DATA.store(SECRET, Relaxed);
    IN_BSS.iter().for_each(|word| word.store(SECRET, Relaxed));
    let local = 0_u64;
    let here = core::hint::black_box(&raw const local as usize);
    let stack = (STACK_BOTTOM..here - IN_USE).step_by(8);
    for at in stack.chain(arena.step_by(8)) {
        // SAFETY: this is its own memory, and it dies before any of it is used again.
        unsafe { core::ptr::write_volatile(at as *mut u64, SECRET) }
    }
    machine::fill_float_registers_and_die(SECRET)
}
