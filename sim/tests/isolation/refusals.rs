//! Descriptions refused by the simulation.

use super::Test;
use super::domains::Mode;
use super::harness::{Folder, SYSTEM, finish, supervisor};

pub(super) fn refused_descriptions() -> Test {
    let folder = Folder::new();
    folder.write("order.bin", [b'n', Mode::Once as u8]);
    for (from, to, message) in [
        (
            "perms=\"rw\" setvar_vaddr=\"to_probe\"",
            "perms=\"rwx\"",
            "writable and executable",
        ),
        ("irq=\"30\"", "irq=\"31\"", "interrupt 31"),
        ("bystander.elf", "stranger.elf", "runs 'stranger'"),
        (
            "priority=\"1\"",
            "priority=\"1\" smc=\"true\"",
            "attribute 'smc' is forbidden",
        ),
        ("<channel>", "<chanel>", "not well-formed"),
        (
            "phys_addr=\"0x9000000\"",
            "phys_addr=\"0x9000000\" prefill_path=\"order.bin\"",
            "device",
        ),
    ] {
        check!(SYSTEM.contains(from), from);
        let system = folder.write("system.xml", SYSTEM.replacen(from, to, 1));
        let run = finish(supervisor(&system, &folder), b"");
        check!(
            run.status == Some(1) && run.errors.contains(message),
            (message, run)
        );
    }
    Ok(())
}

pub(super) fn needs_more() -> Test {
    let folder = Folder::new();
    folder.write("order.bin", [b'n', Mode::Once as u8]);
    for (from, to, message) in [
        (
            "perms=\"rw\" setvar_vaddr=\"from_probe\"",
            "perms=\"r\" setvar_vaddr=\"from_probe\"",
            "'from_probe' to write",
        ),
        (
            "<end pd=\"probe\" id=\"0\" />",
            "<end pd=\"probe\" id=\"0\" notify=\"false\" />",
            "needs channel 0",
        ),
        ("vaddr=\"0x14000000\"", "vaddr=\"0x0\"", "cannot be mapped"),
    ] {
        check!(SYSTEM.contains(from), from);
        let system = folder.write("system.xml", SYSTEM.replacen(from, to, 1));
        let run = finish(supervisor(&system, &folder), b"");
        check!(
            run.status == Some(1) && run.errors.contains(message),
            (message, run)
        );
        check!(run.errors.contains("probe did not start (status 2)"), run);
    }
    Ok(())
}
