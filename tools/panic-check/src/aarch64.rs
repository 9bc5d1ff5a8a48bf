//! Decodes the few AArch64 instructions that determine control flow and build addresses.
//!
//! Source: Arm Architecture Reference Manual for A-profile, C4.1 "A64 instruction set encoding".

use crate::instruction::Op;

/// The instruction `word` at `at`.
#[must_use]
pub fn decode(word: u32, at: u64) -> Op {
    let field = |low: u32, bits: u32| u64::from(word >> low) & ((1 << bits) - 1);
    let register = |low: u32| field(low, 5) as u8;
    // A signed field of words, relative to the instruction.
    let target = |low: u32, bits: u32| {
        let unused = 64 - bits;
        let words = ((field(low, bits) << unused) as i64) >> unused;
        at.wrapping_add_signed(words * 4)
    };
    if word >> 16 == 0 || matches!(word & 0xFFE0_001F, 0xD420_0000 | 0xD440_0000) {
        return Op::Trap;
    }
    match word >> 26 {
        0b10_0101 => return Op::Call(target(0, 26)),
        0b00_0101 => return Op::Jump(target(0, 26)),
        _ => {}
    }
    if word >> 24 == 0x54 || word & 0x7E00_0000 == 0x3400_0000 {
        return Op::Branch(target(5, 19));
    }
    if word & 0x7E00_0000 == 0x3600_0000 {
        return Op::Branch(target(5, 14));
    }
    if word >> 25 == 0x6B {
        // `opc`, authenticated forms included.
        return match field(21, 4) & 7 {
            0 => Op::JumpRegister(register(5)),
            1 => Op::CallRegister,
            _ => Op::Return,
        };
    }
    if word & 0x1F00_0000 == 0x1000_0000 {
        let bits = field(5, 19) << 2 | field(29, 2);
        let offset = ((bits << 43) as i64) >> 43;
        let address = match word >> 31 {
            0 => at.wrapping_add_signed(offset),
            _ => (at & !0xFFF).wrapping_add_signed(offset << 12),
        };
        return Op::Address(register(0), address);
    }
    if word & 0xFF80_0000 == 0x9100_0000 {
        let value = field(10, 12) << (12 * field(22, 1));
        return Op::Add(register(0), register(5), value);
    }
    if word & 0xFF20_0000 == 0x8B00_0000 || word & 0xFFE0_0000 == 0x8B20_0000 {
        return Op::AddRegisters(register(0));
    }
    if word & 0xFFE0_FFE0 == 0xAA00_03E0 {
        return Op::Move(register(0), register(16));
    }
    // Loads and stores have bit 27 set and bit 25 clear; bit 22 distinguishes loads in all forms that compilers use.
    if word & 0x0A00_0000 == 0x0800_0000 && word & 0x3B00_0000 != 0x1800_0000 && field(22, 2) == 0 {
        return Op::Store;
    }
    Op::Other(register(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The words are what GNU as produces for the text beside them.
    #[test]
    fn branches_go_where_the_manual_says() {
        let at = 0x20_1000;
        assert_eq!(decode(0x9400_0001, at), Op::Call(at + 4)); // bl .+4
        assert_eq!(decode(0x97FF_FFFF, at), Op::Call(at - 4)); // bl .-4
        assert_eq!(decode(0x17FF_FC00, at), Op::Jump(at - 0x1000)); // b .-4096
        assert_eq!(decode(0x5400_0040, at), Op::Branch(at + 8)); // b.eq .+8
        assert_eq!(decode(0x54FF_FFE1, at), Op::Branch(at - 4)); // b.ne .-4
        assert_eq!(decode(0xB400_0060, at), Op::Branch(at + 12)); // cbz x0, .+12
        assert_eq!(decode(0x35FF_FFC1, at), Op::Branch(at - 8)); // cbnz w1, .-8
        assert_eq!(decode(0x3700_0060, at), Op::Branch(at + 12)); // tbnz w0, #0, .+12
        assert_eq!(decode(0xB6FF_FFE0, at), Op::Branch(at - 4)); // tbz x0, #63, .-4
        assert_eq!(decode(0xD63F_0100, at), Op::CallRegister); // blr x8
        assert_eq!(decode(0xD61F_0140, at), Op::JumpRegister(10)); // br x10
        assert_eq!(decode(0xD65F_03C0, at), Op::Return); // ret
        assert_eq!(decode(0xD420_0020, at), Op::Trap); // brk #1
        assert_eq!(decode(0x0000_0000, at), Op::Trap); // udf #0
        assert_eq!(decode(0xD400_0001, at), Op::Other(1)); // svc #0
    }

    #[test]
    fn addresses_are_made_as_the_manual_says() {
        let at = 0x20_1234;
        assert_eq!(decode(0xB000_0000, at), Op::Address(0, 0x20_2000)); // adrp x0, .+4096
        assert_eq!(decode(0xF0FF_FFE3, at), Op::Address(3, 0x20_0000)); // adrp x3, .-4096
        assert_eq!(decode(0x1000_0041, at), Op::Address(1, at + 8)); // adr x1, .+8
        assert_eq!(decode(0x9140_0841, at), Op::Add(1, 2, 0x2000)); // add x1, x2, #2, lsl #12
        assert_eq!(decode(0x9100_4020, at), Op::Add(0, 1, 16)); // add x0, x1, #16
        assert_eq!(decode(0x8B0B_094A, at), Op::AddRegisters(10)); // add x10, x10, x11, lsl #2
        assert_eq!(decode(0xAA13_03E0, at), Op::Move(0, 19)); // mov x0, x19
        assert_eq!(decode(0xF900_0FE0, at), Op::Store); // str x0, [sp, #24]
        assert_eq!(decode(0xA901_7BFD, at), Op::Store); // stp x29, x30, [sp, #16]
        assert_eq!(decode(0xF940_0FE0, at), Op::Other(0)); // ldr x0, [sp, #24]
    }
}
