//! Decodes the few instructions of 64-bit RISC-V, including compressed ones, that determine control flow and build
//! addresses.
//!
//! Source: The RISC-V Instruction Set Manual, volume I, chapters "RV32/64G Instruction Set Listings" and "C".

use crate::instruction::{Instruction, Op};

/// The return address register.
const RA: u8 = 1;
/// The alternative one, used by linker routines.
const T0: u8 = 5;

/// The instructions of a function.
pub(crate) fn instructions(code: &[u8], start: u64) -> Vec<(u64, Instruction)> {
    let mut all = Vec::new();
    let mut rest = code;
    let mut at = start;
    // The register that `auipc` has just set: with the `jalr` after it, that is a call or a jump to a fixed address.
    let mut upper: Option<(u8, u64)> = None;
    while let [low, high, after @ ..] = rest {
        let half = u16::from_le_bytes([*low, *high]);
        let (op, bytes) = if half & 3 != 3 {
            (compressed(half, at), 2)
        } else if let [third, fourth, ..] = after {
            let word = u32::from_le_bytes([*low, *high, *third, *fourth]);
            (far(word, upper).unwrap_or_else(|| decode(word, at)), 4)
        } else {
            break;
        };
        upper = match op {
            Op::Address(register, value) => Some((register, value)),
            _ => None,
        };
        let next = at + bytes;
        all.push((at, Instruction { op, next }));
        rest = rest.get(bytes as usize..).unwrap_or_default();
        at = next;
    }
    all
}

/// The second half of `call` or `tail`.
fn far(word: u32, upper: Option<(u8, u64)>) -> Option<Op> {
    let (register, value) = upper?;
    if word & 0x7f != 0x67 || field(word, 15, 5) as u8 != register {
        return None;
    }
    let to = value.wrapping_add_signed(signed(word >> 20, 12));
    match field(word, 7, 5) as u8 {
        0 => Some(Op::Jump(to)),
        _ => Some(Op::Call(to)),
    }
}

fn field(word: u32, low: u32, bits: u32) -> u32 {
    (word >> low) & ((1 << bits) - 1)
}

/// A number of this many bits, the highest of which is its sign.
fn signed(value: u32, bits: u32) -> i64 {
    let unused = 64 - bits;
    ((u64::from(value) << unused) as i64) >> unused
}

/// An instruction of 32 bits.
fn decode(word: u32, at: u64) -> Op {
    let register = |low| field(word, low, 5) as u8;
    let (to, from) = (register(7), register(15));
    let immediate = signed(word >> 20, 12);
    match word & 0x7f {
        // lui, auipc
        0x37 => Op::Address(to, signed(word & 0xffff_f000, 32) as u64),
        0x17 => Op::Address(to, at.wrapping_add_signed(signed(word & 0xffff_f000, 32))),
        0x6f => {
            let bits = field(word, 31, 1) << 20
                | field(word, 12, 8) << 12
                | field(word, 20, 1) << 11
                | field(word, 21, 10) << 1;
            let target = at.wrapping_add_signed(signed(bits, 21));
            if to == 0 {
                Op::Jump(target)
            } else {
                Op::Call(target)
            }
        }
        0x67 => jump_register(to, from),
        0x63 => {
            let bits = field(word, 31, 1) << 12
                | field(word, 7, 1) << 11
                | field(word, 25, 6) << 5
                | field(word, 8, 4) << 1;
            Op::Branch(at.wrapping_add_signed(signed(bits, 13)))
        }
        // addi
        0x13 if field(word, 12, 3) == 0 => match immediate {
            0 => Op::Move(to, from),
            _ => Op::Add(to, from, immediate as u64),
        },
        // add
        0x33 if field(word, 12, 3) == 0 && word >> 25 == 0 => Op::AddRegisters(to),
        // ld. With -8 it reads a table whose index begins at 1; no field of a structure has a negative offset.
        0x03 if field(word, 12, 3) == 3 && matches!(immediate, 0 | -8) => Op::Load(to, from),
        0x23 | 0x27 => Op::Store,
        // ebreak; unimp, which is a write to a counter
        0x73 if word == 0x0010_0073 || word == 0xc000_1073 => Op::Trap,
        // Fences and floating point change no register that matters.
        0x0f | 0x07 | 0x43 | 0x47 | 0x4b | 0x4f => Op::Other(0),
        _ => Op::Other(to),
    }
}

fn jump_register(to: u8, from: u8) -> Op {
    match (to, from) {
        (0, RA | T0) => Op::Return,
        (0, from) => Op::JumpRegister(from),
        _ => Op::CallRegister,
    }
}

/// An instruction of 16 bits.
fn compressed(half: u16, at: u64) -> Op {
    let word = u32::from(half);
    let whole = |low| field(word, low, 5) as u8;
    // Three bits name the registers from 8 up.
    let short = |low| field(word, low, 3) as u8 + 8;
    let six = || signed(field(word, 12, 1) << 5 | field(word, 2, 5), 6);
    match (word & 3, word >> 13) {
        _ if half == 0 => Op::Trap,
        // c.ld
        (0, 0b011) if word & 0x1c60 == 0 => Op::Load(short(2), short(7)),
        // c.addi4spn, c.lw, c.ld; c.fld changes no integer register
        (0, 0b000 | 0b010 | 0b011) => Op::Other(short(2)),
        (0, 0b001) => Op::Other(0),
        (0, _) => Op::Store,
        // c.addi
        (1, 0b000) => Op::Add(whole(7), whole(7), six() as u64),
        // c.addiw, c.li
        (1, 0b001 | 0b010) => Op::Other(whole(7)),
        // c.addi16sp, c.lui
        (1, 0b011) => match whole(7) {
            2 => Op::Other(2),
            to => Op::Address(to, (six() << 12) as u64),
        },
        (1, 0b100) => Op::Other(short(7)),
        // c.j
        (1, 0b101) => {
            let bits = field(word, 12, 1) << 11
                | field(word, 8, 1) << 10
                | field(word, 9, 2) << 8
                | field(word, 6, 1) << 7
                | field(word, 7, 1) << 6
                | field(word, 2, 1) << 5
                | field(word, 11, 1) << 4
                | field(word, 3, 3) << 1;
            Op::Jump(at.wrapping_add_signed(signed(bits, 12)))
        }
        // c.beqz, c.bnez
        (1, _) => {
            let bits = field(word, 12, 1) << 8
                | field(word, 5, 2) << 6
                | field(word, 2, 1) << 5
                | field(word, 10, 2) << 3
                | field(word, 3, 2) << 1;
            Op::Branch(at.wrapping_add_signed(signed(bits, 9)))
        }
        (2, 0b100) => match (field(word, 12, 1), whole(7), whole(2)) {
            (0, from, 0) => jump_register(0, from),
            (0, to, from) => Op::Move(to, from),
            (_, 0, 0) => Op::Trap,
            (_, _, 0) => Op::CallRegister,
            (_, to, _) => Op::AddRegisters(to),
        },
        // c.slli, c.lwsp, c.ldsp; c.fldsp changes no integer register
        (2, 0b000 | 0b010 | 0b011) => Op::Other(whole(7)),
        (2, 0b001) => Op::Other(0),
        (_, _) => Op::Store,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 0x20_1000;

    fn all(code: &[u8]) -> Vec<Op> {
        let all = instructions(code, AT);
        all.iter().map(|(_, instruction)| instruction.op).collect()
    }

    // The bytes are what GNU as produces for the text beside them.
    #[test]
    fn where_control_goes() {
        for (word, op) in [
            (0x0080_00ef, Op::Call(AT + 8)),     // jal ra, .+8
            (0xffdf_f0ef, Op::Call(AT - 4)),     // jal ra, .-4
            (0x0080_006f, Op::Jump(AT + 8)),     // j .+8
            (0x00b5_0863, Op::Branch(AT + 16)),  // beq a0, a1, .+16
            (0xfeb5_1ee3, Op::Branch(AT - 4)),   // bne a0, a1, .-4
            (0x0005_80e7, Op::CallRegister),     // jalr ra, 0(a1)
            (0x0007_8067, Op::JumpRegister(15)), // jr a5
            (0x0000_8067, Op::Return),           // ret
            (0x0010_0073, Op::Trap),             // ebreak
            (0xc000_1073, Op::Trap),             // unimp
            (0x0000_0073, Op::Other(0)),         // ecall
        ] {
            assert_eq!(decode(word, AT), op, "{word:#x}");
        }
        for (half, op) in [
            (0xa021, Op::Jump(AT + 8)),     // c.j .+8
            (0xbff5, Op::Jump(AT - 4)),     // c.j .-4
            (0xc501, Op::Branch(AT + 8)),   // c.beqz a0, .+8
            (0xfd75, Op::Branch(AT - 4)),   // c.bnez a0, .-4
            (0x8082, Op::Return),           // c.ret
            (0x8782, Op::JumpRegister(15)), // c.jr a5
            (0x9782, Op::CallRegister),     // c.jalr a5
            (0x9002, Op::Trap),             // c.ebreak
            (0x0000, Op::Trap),             // c.unimp
        ] {
            assert_eq!(compressed(half, AT), op, "{half:#x}");
        }
    }

    #[test]
    fn how_addresses_are_made() {
        for (word, op) in [
            (0x0000_1517, Op::Address(10, AT + 0x1000)), // auipc a0, 1
            (0xffff_f597, Op::Address(11, AT - 0x1000)), // auipc a1, -1
            (0x0002_0537, Op::Address(10, 0x2_0000)),    // lui a0, 0x20
            (0x0105_0593, Op::Add(11, 10, 16)),          // addi a1, a0, 16
            (0xff05_0593, Op::Add(11, 10, 16_u64.wrapping_neg())), // addi a1, a0, -16
            (0x0005_0593, Op::Move(11, 10)),             // mv a1, a0 (addi)
            (0x00b5_0633, Op::AddRegisters(12)),         // add a2, a0, a1
            (0x40b5_0633, Op::Other(12)),                // sub a2, a0, a1
            (0x0005_3503, Op::Load(10, 10)),             // ld a0, 0(a0)
            (0xff84_b683, Op::Load(13, 9)),              // ld a3, -8(s1)
            (0x0085_3503, Op::Other(10)),                // ld a0, 8(a0)
            (0x00a1_3423, Op::Store),                    // sd a0, 8(sp)
        ] {
            assert_eq!(decode(word, AT), op, "{word:#x}");
        }
        for (half, op) in [
            (0x0541, Op::Add(10, 10, 16)),                  // c.addi a0, 16
            (0x85aa, Op::Move(11, 10)),                     // c.mv a1, a0
            (0x953e, Op::AddRegisters(10)),                 // c.add a0, a5
            (0x6108, Op::Load(10, 10)),                     // c.ld a0, 0(a0)
            (0x6508, Op::Other(10)),                        // c.ld a0, 8(a0)
            (0xe42a, Op::Store),                            // c.sdsp a0, 8(sp)
            (0xe108, Op::Store),                            // c.sd a0, 0(a0)
            (0x4505, Op::Other(10)),                        // c.li a0, 1
            (0x1141, Op::Add(2, 2, 16_u64.wrapping_neg())), // c.addi sp, -16
            (0x7139, Op::Other(2)),                         // c.addi16sp sp, -64
            (0x8d0d, Op::Other(10)),                        // c.sub a0, a1
        ] {
            assert_eq!(compressed(half, AT), op, "{half:#x}");
        }
    }

    #[test]
    fn a_far_call_is_a_call_and_a_far_jump_a_jump() {
        // auipc ra, 1; jalr ra, -8(ra); auipc t1, 0; jr 16(t1); c.ret
        let code = [
            0x97, 0x10, 0x00, 0x00, 0xe7, 0x80, 0x80, 0xff, 0x17, 0x03, 0x00, 0x00, 0x67, 0x00,
            0x03, 0x01, 0x82, 0x80,
        ];
        assert_eq!(
            all(&code),
            [
                Op::Address(1, AT + 0x1000),
                Op::Call(AT + 0x1000 - 8),
                Op::Address(6, AT + 8),
                Op::Jump(AT + 24),
                Op::Return
            ]
        );
        // A truncated instruction at the end is ignored.
        assert_eq!(all(&code[..6]), [Op::Address(1, AT + 0x1000)]);
    }
}
