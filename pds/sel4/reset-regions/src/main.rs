//! `reset-regions IN OUT`: prepares a domain's ELF file for a restart in place.
//!
//! For every writable segment it adds a read-only segment with the same contents, and a table that tells `sel4-reset`
//! what to copy and what to clear. Sections named `.persistent` are left out, because the reset code runs on a stack in
//! one.

use object::elf::{PF_R, PF_W, PT_LOAD};
use object::read::elf::{ElfFile64, ProgramHeader as _};
use object::{Object as _, ObjectSection as _};
use sel4_patch_elf::{GenericProgramHeader, Patching};
use sel4_phdrs_constants::PT_SEL4_RESET_REGIONS;
use std::error::Error;
use std::ops::Range;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = &arguments[..] else {
        eprintln!("usage: reset-regions IN OUT");
        return ExitCode::from(2);
    };
    let run = || -> Result<(), Box<dyn Error>> {
        let file = std::fs::read(input)?;
        Ok(std::fs::write(output, prepare(&file)?)?)
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reset-regions: {}: {error}", input.display());
            ExitCode::FAILURE
        }
    }
}

fn prepare(file: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let elf = ElfFile64::<object::LittleEndian>::parse(file)?;
    let endian = elf.endian();
    let persistent: Vec<Range<u64>> = elf
        .sections()
        .filter(|section| {
            section
                .name()
                .is_ok_and(|name| name.starts_with(".persistent"))
        })
        .map(|section| section.address()..section.address() + section.size())
        .collect();
    let mut patching = Patching::new(&elf);
    let mut table = Vec::new();
    for header in elf.elf_program_headers() {
        if header.p_type(endian) != PT_LOAD || header.p_flags(endian) & PF_W == 0 {
            continue;
        }
        let (offset, align) = (header.p_offset(endian), header.p_align(endian));
        let (start, stored) = (header.p_vaddr(endian), header.p_filesz(endian));
        let end = start + header.p_memsz(endian);
        let copy = patching.next_aligned_vaddr(align, offset);
        let segment = GenericProgramHeader {
            p_type: PT_LOAD,
            p_flags: PF_R,
            p_offset: offset,
            p_vaddr: copy,
            p_paddr: copy,
            p_filesz: stored,
            p_memsz: stored,
            p_align: align,
        };
        patching.add_phdr(segment.to_concrete(endian));
        for part in without(start..end, &persistent) {
            let skipped = part.start - start;
            let size = part.end - part.start;
            let (from, copied) = match stored.checked_sub(skipped) {
                Some(left) if left > 0 => (copy + skipped, left.min(size)),
                _ => (0, 0),
            };
            for word in [part.start, size, from, copied] {
                table.extend(word.to_le_bytes());
            }
        }
    }
    patching.add_data_segment_with_meta_phdr(PT_SEL4_RESET_REGIONS, 8, &table);
    Ok(patching.finalize())
}

/// The parts of `whole` outside the `holes`.
fn without(whole: Range<u64>, holes: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut holes: Vec<_> = holes
        .iter()
        .filter(|hole| !hole.is_empty())
        .cloned()
        .collect();
    holes.sort_by_key(|hole| hole.start);
    let mut parts = Vec::new();
    let mut start = whole.start;
    for hole in holes {
        if hole.end <= start || hole.start >= whole.end {
            continue;
        }
        if hole.start > start {
            parts.push(start..hole.start);
        }
        start = hole.end;
    }
    if start < whole.end {
        parts.push(start..whole.end);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::without;

    #[test]
    fn holes_are_left_out_wherever_they_lie() {
        assert_eq!(without(10..20, &[]), [10..20]);
        assert_eq!(without(10..20, &[12..14]), [10..12, 14..20]);
        assert_eq!(without(10..20, &[18..25, 5..11, 30..40]), [11..18]);
        assert_eq!(without(10..20, &[0..40]), []);
    }
}
