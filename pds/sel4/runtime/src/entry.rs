//! Start-up of a domain, and the variables that the Microkit tool fills in.
//!
//! Whatever the tool patches lies in a read-only segment. A restarted domain gets back the `.data`
//! that the linker wrote, not the one that the tool patched: a variable there would be zero, and the
//! domain would find neither its channels nor its regions.

// Microkit's own variables (`sel4-microkit` without its definitions: feature `extern-symbols`).
// `R` keeps those that nothing here refers to: the tool wants all six. It checks `.size`.
core::arch::global_asm!(
    r#"
    .section .rodata.microkit, "aR", %progbits
    .macro microkit_variable name, size
        .balign 8
        .global \name
        .type \name, %object
        .size \name, \size
        \name: .skip \size, 0
    .endm
    microkit_variable microkit_name, 64
    microkit_variable microkit_passive, 1
    microkit_variable microkit_irqs, 8
    microkit_variable microkit_notifications, 8
    microkit_variable microkit_pps, 8
    microkit_variable microkit_ioports, 8
    .purgem microkit_variable
    "#
);

/// The value that the Microkit tool writes for `setvar_vaddr="name"` or `setvar_size="name"`. It
/// defines the variable: once per name and program.
#[macro_export]
macro_rules! patched {
    ($name:ident) => {
        *$crate::reexports::rodata_static!($name: usize)
    };
}

/// What `system.xml` gives the domain. Crate `wiring` writes the invocation.
#[macro_export]
macro_rules! wiring {
    (
        stack_bytes: $stack_bytes:literal,
        regions { $($region:ident: $kind:ident, $size:expr;)* }
        channels { $($channel:ident = $channel_id:literal;)* }
        interrupts { $($interrupt:ident = $interrupt_id:literal;)* }
        children { $($child:ident = $child_id:literal;)* }
    ) => {
        /// The stack that Microkit gives the domain.
        #[allow(dead_code)] // Only a domain that is restarted clears it.
        pub const STACK_BYTES: u64 = $stack_bytes;

        /// The regions of the domain, under the names of their variables.
        #[allow(dead_code)] // A domain may map what only a later version of it uses.
        pub struct Regions {
            $(pub $region: $crate::region::$kind,)*
        }

        impl Regions {
            /// The handles.
            ///
            /// # Safety
            /// Called once.
            pub unsafe fn new() -> Self {
                Self {
                    // SAFETY: the Microkit tool maps what system.xml says and writes the address
                    // into this variable; wiring has chosen the kind by who else maps the region;
                    // and this is called once.
                    $($region: unsafe {
                        $crate::region::Mapped::at($crate::patched!($region), $size)
                    },)*
                }
            }
        }

        $(
            #[allow(missing_docs)]
            pub const $channel: $crate::Channel = $crate::Channel::new($channel_id);
        )*
        $(
            #[allow(missing_docs)]
            pub const $interrupt: $crate::Channel = $crate::Channel::new($interrupt_id);
        )*
        $(
            #[allow(missing_docs)]
            pub const $child: $crate::child::Child = $crate::child::Child::new($child_id);
        )*
    };
}

/// Makes `$start`, a `fn(Regions) -> impl Handler`, the start of the domain, and the names of
/// [`wiring!`] a module `wiring`.
#[macro_export]
macro_rules! domain {
    ($start:path) => {
        $crate::reexports::sel4_microkit::_private::declare_entrypoint!();
        $crate::start!($start);
    };
}

/// [`domain!`] for one that its parent restarts: whatever an earlier life has left in registers that
/// the parent can't write, and on the stack, is gone when `$start` runs.
///
/// A notification of an earlier life may still be pending, so the first wake-up can be a stale one.
#[cfg(feature = "restart")]
#[macro_export]
macro_rules! restartable_domain {
    ($start:path) => {
        // FPCR survives a restart, and would change the arithmetic. Both a fresh start and
        // sel4-reset come by here; the latter on a small stack of its own, so that ours can be
        // cleared and sp is to be set.
        core::arch::global_asm!(
            r#"
            .section .text
            .global _start
            .type _start, %function
            _start:
                msr fpcr, xzr
                msr fpsr, xzr
                .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
                movi v\n\().2d, #0
                .endr
                ldr x10, ={bottom}
                ldr x9, ={top}
            1:  stp xzr, xzr, [x10], #16
                cmp x10, x9
                b.lo 1b
                mov sp, x9
                b __sel4_runtime_common__call_rust_entrypoint
            .size _start, . - _start
            "#,
            bottom = const $crate::child::STACK_TOP - wiring::STACK_BYTES,
            top = const $crate::child::STACK_TOP,
        );
        $crate::start!($start);
    };
}

/// What both kinds of domains have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! start {
    ($start:path) => {
        /// What `system.xml` gives this domain.
        mod wiring {
            include!(concat!(env!("OUT_DIR"), "/wiring.rs"));
        }

        $crate::reexports::sel4_microkit::_private::declare_init!(|| {
            // SAFETY: the runtime calls this once.
            $start(unsafe { wiring::Regions::new() })
        });
    };
}

/// Links `_reset`, which restores `.data` and `.bss` and goes on to `_start`.
#[cfg(feature = "restart")]
use sel4_reset as _;
