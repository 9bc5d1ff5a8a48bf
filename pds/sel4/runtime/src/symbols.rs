//! The symbols that the Microkit tool patches in every domain. They are in read-only memory, because a restart restores
//! `.data` from a copy that is not patched, and would lose the domain's channels.

core::arch::global_asm!(
    r#"
    .section .rodata.microkit_patched, "aR", %progbits
    .balign 8
    .macro patched_word name
    .global \name
    .type \name, %object
    .size \name, 8
    \name: .quad 0
    .endm
    patched_word microkit_irqs
    patched_word microkit_notifications
    patched_word microkit_pps
    patched_word microkit_ioports
    .global microkit_passive
    .type microkit_passive, %object
    .size microkit_passive, 1
    microkit_passive: .byte 0
    .balign 8
    .global microkit_name
    .type microkit_name, %object
    .size microkit_name, 64
    microkit_name: .skip 64
    .purgem patched_word
    "#
);
