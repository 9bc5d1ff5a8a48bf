//! Instructions of the processor that attacks use. None of this is sound; the test is that it does no harm.

#[cfg(target_arch = "aarch64")]
#[allow(dead_code, reason = "each hostile domain uses some of it")]
mod arch {
    use core::arch::asm;

    /// Writes the registers of the timer, which have 64 bits. It traps if the kernel does not allow it.
    pub(crate) fn write_timer(compare: u64, control: u64) {
        // SAFETY: these are registers of a timer that audit treats only as a hint.
        unsafe {
            asm!("msr cntp_ctl_el0, {}", "msr cntp_cval_el0, {}", "isb", in(reg) control, in(reg) compare);
        }
    }

    /// Reads what was written there.
    pub(crate) fn read_timer() -> u64 {
        let compare;
        // SAFETY: reads a register.
        unsafe { asm!("isb", "mrs {}, cntp_cval_el0", out(reg) compare) }
        compare
    }

    pub(crate) fn system_call(number: i64) {
        // SAFETY: none; this is the attack. It faults.
        unsafe {
            asm!("svc #0", in("x7") number, inout("x0") u64::from(b'!') => _, out("x1") _, out("x2") _,
                out("x3") _, out("x4") _, out("x5") _, out("x6") _);
        }
    }

    pub(crate) fn write_translation_table() {
        // SAFETY: none; this is the attack. In user mode it traps.
        unsafe { asm!("msr ttbr0_el1, xzr") }
    }

    /// What the report says if [`read_cycles`] succeeds.
    pub(crate) const CYCLES: &str = "SUCCEEDED: read";

    pub(crate) fn read_cycles() -> u64 {
        let cycles;
        // SAFETY: none; this is the attack. It traps.
        unsafe { asm!("mrs {}, pmccntr_el0", out(reg) cycles) }
        cycles
    }

    pub(crate) fn call_firmware() {
        // `smc #0`, which the assembler knows only for other targets.
        // SAFETY: none; this is the attack. In user mode it traps. If it did not, it would be PSCI's SYSTEM_OFF.
        unsafe { asm!(".inst 0xd4000003", inout("x0") 0x8400_0008_u64 => _) }
    }

    pub(crate) fn call_hypervisor() {
        // `hvc #0`. SAFETY: as above.
        unsafe { asm!(".inst 0xd4000002", inout("x0") 0x8400_0008_u64 => _) }
    }

    #[cfg(target_feature = "neon")]
    /// The first words of 24 registers that earlier code does not use: v8 to v31.
    pub(crate) fn float_registers() -> [u64; 24] {
        let mut values = [0_u64; 48];
        // SAFETY: stores 24 registers of 16 bytes into 384 bytes.
        unsafe {
            asm!(
                "stp q8, q9, [{0}]", "stp q10, q11, [{0}, #32]", "stp q12, q13, [{0}, #64]",
                "stp q14, q15, [{0}, #96]", "stp q16, q17, [{0}, #128]", "stp q18, q19, [{0}, #160]",
                "stp q20, q21, [{0}, #192]", "stp q22, q23, [{0}, #224]", "stp q24, q25, [{0}, #256]",
                "stp q26, q27, [{0}, #288]", "stp q28, q29, [{0}, #320]", "stp q30, q31, [{0}, #352]",
                in(reg) values.as_mut_ptr(),
            );
        }
        core::array::from_fn(|number| values[2 * number] | values[2 * number + 1])
    }

    #[cfg(target_feature = "neon")]
    /// The control register of floating point, with the rounding mode.
    pub(crate) fn float_control() -> u64 {
        let control;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) control) }
        control
    }

    #[cfg(target_feature = "neon")]
    /// Fills those registers, sets rounding towards zero, and dies.
    pub(crate) fn fill_float_registers_and_die(word: u64) -> ! {
        // SAFETY: it dies before any of this is used again.
        unsafe {
            asm!(
                "msr fpcr, {1}",
                "dup v8.2d, {0}", "dup v9.2d, {0}", "dup v10.2d, {0}", "dup v11.2d, {0}",
                "dup v12.2d, {0}", "dup v13.2d, {0}", "dup v14.2d, {0}", "dup v15.2d, {0}",
                "dup v16.2d, {0}", "dup v17.2d, {0}", "dup v18.2d, {0}", "dup v19.2d, {0}",
                "dup v20.2d, {0}", "dup v21.2d, {0}", "dup v22.2d, {0}", "dup v23.2d, {0}",
                "dup v24.2d, {0}", "dup v25.2d, {0}", "dup v26.2d, {0}", "dup v27.2d, {0}",
                "dup v28.2d, {0}", "dup v29.2d, {0}", "dup v30.2d, {0}", "dup v31.2d, {0}",
                "udf #0",
                in(reg) word, in(reg) 3_u64 << 22, options(noreturn),
            )
        }
    }

    /// Reads a floating-point register, which a domain without floating point must not do.
    pub(crate) fn forbidden_float_register() -> u64 {
        let value;
        // SAFETY: none; this is the attack, and it traps.
        unsafe { asm!(".arch_extension fp", "fmov {}, d31", out(reg) value) }
        value
    }
}

#[cfg(target_arch = "riscv64")]
#[allow(dead_code, reason = "each hostile domain uses some of it")]
mod arch {
    use core::arch::asm;

    /// RISC-V has no timer for user code: this is the supervisor's (`stimecmp`), and writing it traps.
    pub(crate) fn write_timer(compare: u64, _: u64) {
        // SAFETY: none; this is the attack.
        unsafe { asm!("csrw 0x14d, {}", in(reg) compare) }
    }

    /// Like [`write_timer`].
    pub(crate) fn read_timer() -> u64 {
        let compare;
        // SAFETY: as above.
        unsafe { asm!("csrr {}, 0x14d", out(reg) compare) }
        compare
    }

    pub(crate) fn system_call(number: i64) {
        // SAFETY: none; this is the attack. It faults.
        unsafe {
            asm!("ecall", in("a7") number, inout("a0") u64::from(b'!') => _, out("a1") _, out("a2") _,
                out("a3") _, out("a4") _, out("a5") _, out("a6") _);
        }
    }

    pub(crate) fn write_translation_table() {
        // SAFETY: none; this is the attack. In user mode it traps.
        unsafe { asm!("csrw satp, zero") }
    }

    /// What the report says if [`read_cycles`] succeeds: a residual channel of docs/isolation.md.
    pub(crate) const CYCLES: &str = "everybody reads cycles";

    pub(crate) fn read_cycles() -> u64 {
        let cycles;
        // SAFETY: reads a counter. The firmware decides whether user code may do that.
        unsafe { asm!("rdcycle {}", out(reg) cycles) }
        cycles
    }

    pub(crate) fn call_firmware() {
        // SBI's old call for shutdown. From user mode it is a system call, and one that seL4 does not have.
        system_call(8);
    }

    pub(crate) fn call_hypervisor() {
        // SAFETY: none; this is the attack. A return from machine mode: in user mode it traps.
        unsafe { asm!("mret") }
    }

    #[cfg(target_feature = "d")]
    /// 24 registers that earlier code does not use: f8 to f31.
    pub(crate) fn float_registers() -> [u64; 24] {
        let mut values = [0_u64; 24];
        // SAFETY: stores 24 registers of 8 bytes into 192 bytes.
        unsafe {
            asm!(
                "fsd f8, 0({0})", "fsd f9, 8({0})", "fsd f10, 16({0})", "fsd f11, 24({0})",
                "fsd f12, 32({0})", "fsd f13, 40({0})", "fsd f14, 48({0})", "fsd f15, 56({0})",
                "fsd f16, 64({0})", "fsd f17, 72({0})", "fsd f18, 80({0})", "fsd f19, 88({0})",
                "fsd f20, 96({0})", "fsd f21, 104({0})", "fsd f22, 112({0})", "fsd f23, 120({0})",
                "fsd f24, 128({0})", "fsd f25, 136({0})", "fsd f26, 144({0})", "fsd f27, 152({0})",
                "fsd f28, 160({0})", "fsd f29, 168({0})", "fsd f30, 176({0})", "fsd f31, 184({0})",
                in(reg) values.as_mut_ptr(),
            );
        }
        values
    }

    #[cfg(target_feature = "d")]
    /// The control register of floating point: the rounding mode and the exception flags, which start-up clears as
    /// well.
    pub(crate) fn float_control() -> u64 {
        let control;
        // SAFETY: reads a register.
        unsafe { asm!("frcsr {}", out(reg) control) }
        control
    }

    #[cfg(target_feature = "d")]
    /// Fills those registers, sets rounding towards zero, and dies.
    pub(crate) fn fill_float_registers_and_die(word: u64) -> ! {
        // SAFETY: it dies before any of this is used again.
        unsafe {
            asm!(
                "fsrmi 1",
                "fmv.d.x f8, {0}", "fmv.d.x f9, {0}", "fmv.d.x f10, {0}", "fmv.d.x f11, {0}",
                "fmv.d.x f12, {0}", "fmv.d.x f13, {0}", "fmv.d.x f14, {0}", "fmv.d.x f15, {0}",
                "fmv.d.x f16, {0}", "fmv.d.x f17, {0}", "fmv.d.x f18, {0}", "fmv.d.x f19, {0}",
                "fmv.d.x f20, {0}", "fmv.d.x f21, {0}", "fmv.d.x f22, {0}", "fmv.d.x f23, {0}",
                "fmv.d.x f24, {0}", "fmv.d.x f25, {0}", "fmv.d.x f26, {0}", "fmv.d.x f27, {0}",
                "fmv.d.x f28, {0}", "fmv.d.x f29, {0}", "fmv.d.x f30, {0}", "fmv.d.x f31, {0}",
                "unimp",
                in(reg) word, options(noreturn),
            )
        }
    }

    /// Reads a floating-point register, which a domain without floating point must not do.
    pub(crate) fn forbidden_float_register() -> u64 {
        let value;
        // `fmv.x.d a0, f31`, which the assembler does not know for a target without floating point.
        // SAFETY: none; this is the attack, and it traps.
        unsafe { asm!(".insn r 0x53, 0, 0x71, a0, x31, x0", out("a0") value) }
        value
    }
}

pub(crate) use arch::*;
