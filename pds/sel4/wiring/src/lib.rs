//! What `system.xml` gives a protection domain, as Rust: for build scripts.
//!
//! Responsible for: a file `wiring.rs` with one handle for each region that the domain maps and one
//! constant for each channel, interrupt and child, and the arguments of the linker.
//!
//! The rule that keeps it safe: the type of a handle follows from the whole authority graph. Bytes
//! become a reference only if no other domain can change them; what another domain can write is
//! read word by word. So a domain cannot be wired to a system that it was not built for, and a
//! description that gives a domain something that it must not have stops the build.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use sysdesc::{Domain, Map, Region, System};

/// Where `system.xml` lies, seen from a domain's crate.
const SYSTEM_XML: &str = "../../../system.xml";
/// Where the linker script lies, seen from a domain's crate.
const LINKER_SCRIPT: &str = "../pd.ld";

/// Why a domain is not built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It is no system description.
    #[error("{path}: {cause}")]
    Description {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: sysdesc::Error,
    },
    /// There is no such domain.
    #[error("there is no protection domain {0}")]
    NoDomain(String),
    /// The build is for another kind of target than the domain runs on.
    #[error("{domain} has fpu=\"{fpu}\", and this target has floating point: {target_has}")]
    Fpu {
        /// The domain.
        domain: String,
        /// What the description says.
        fpu: bool,
        /// What the target has.
        target_has: bool,
    },
    /// No handle can be made for a mapping.
    #[error("{domain} maps {region}: {problem}")]
    Mapping {
        /// The domain.
        domain: String,
        /// The region.
        region: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The program can't find it.
    #[error("it has no setvar_vaddr")]
    NoSymbol,
    /// Data would be code.
    #[error("it is executable")]
    Executable,
    /// Two handles for the same bytes.
    #[error("twice")]
    Twice,
    /// Registers would be cached, or can't be written.
    #[error("a device needs perms=\"rw\" and cached=\"false\"")]
    Device,
    /// What is shared is a ring.
    #[error("it is shared, and {0} bytes are too few for a ring")]
    SmallerThanRing(u64),
}

/// The whole of a domain's build script: writes `wiring.rs` for `domain`, and tells the linker how
/// to lay the program out. On an error the build ends with it.
pub fn domain(domain: &str) {
    if let Err(error) = build(domain) {
        println!("cargo::error={error}");
    }
}

fn build(domain: &str) -> Result<(), Error> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let crate_root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let (system_xml, script) = (
        crate_root.join(SYSTEM_XML),
        crate_root.join(LINKER_SCRIPT),
    );
    for input in [&system_xml, &script] {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    // The default of 64 KiB would bloat the file and the copy for restarts.
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");

    let target_has_fpu = variable("CARGO_CFG_TARGET_FEATURE")
        .split(',')
        .any(|feature| feature == "neon");
    let text = std::fs::read_to_string(&system_xml).map_err(file_error(&system_xml))?;
    let system = System::parse(&text).map_err(|cause| Error::Description {
        path: system_xml,
        cause,
    })?;
    let source = source(&system, domain, target_has_fpu)?;
    let output = PathBuf::from(variable("OUT_DIR")).join("wiring.rs");
    std::fs::write(&output, source).map_err(file_error(&output))
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    |cause| Error::File { path, cause }
}

/// The text of `wiring.rs`: an invocation of `runtime::wiring!`.
///
/// # Errors
/// See [`Error`].
pub fn source(system: &System, name: &str, target_has_fpu: bool) -> Result<String, Error> {
    let index = system
        .domains
        .iter()
        .position(|domain| domain.name == name)
        .ok_or_else(|| Error::NoDomain(name.to_owned()))?;
    let domain = &system.domains[index];
    if domain.fpu != target_has_fpu {
        return Err(Error::Fpu {
            domain: name.to_owned(),
            fpu: domain.fpu,
            target_has: target_has_fpu,
        });
    }

    let mut regions = String::new();
    for map in &domain.maps {
        let region = &system.regions[map.region];
        let kind = kind(system, domain, map, region).map_err(|problem| Error::Mapping {
            domain: name.to_owned(),
            region: region.name.clone(),
            problem,
        })?;
        let symbol = map.setvar_vaddr.as_deref().unwrap_or_default();
        let size = match &map.setvar_size {
            Some(size) => format!("runtime::patched!({size})"),
            None => format!("{:#x}", region.size),
        };
        writeln_to(&mut regions, &format!("{symbol}: {kind}, {size};"));
    }

    let (mut channels, mut interrupts, mut children) =
        (String::new(), String::new(), String::new());
    for channel in &system.channels {
        for (ours, theirs) in [(0, 1), (1, 0)].map(|(a, b)| (&channel.ends[a], &channel.ends[b])) {
            if ours.domain == index {
                let peer = constant(&system.domains[theirs.domain].name);
                writeln_to(&mut channels, &format!("{peer} = {};", ours.id));
            }
        }
    }
    for irq in &domain.irqs {
        let line = format!("IRQ_{} = {};", irq.number, irq.id);
        writeln_to(&mut interrupts, &line);
    }
    for child in &system.domains {
        if let Some(parent) = child.parent.as_ref().filter(|parent| parent.domain == index) {
            let line = format!("{}_CHILD = {};", constant(&child.name), parent.id);
            writeln_to(&mut children, &line);
        }
    }
    Ok(format!(
        "runtime::wiring! {{\n    stack_bytes: {:#x},\n    regions {{\n{regions}    }}\n    \
         channels {{\n{channels}    }}\n    interrupts {{\n{interrupts}    }}\n    \
         children {{\n{children}    }}\n}}\n",
        domain.stack_size
    ))
}

fn writeln_to(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "        {line}");
}

/// `a-name` as the name of a constant.
fn constant(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// The alias in `runtime::region` of the handle for a mapping.
fn kind(
    system: &System,
    domain: &Domain,
    map: &Map,
    region: &Region,
) -> Result<&'static str, Problem> {
    if map.setvar_vaddr.is_none() {
        return Err(Problem::NoSymbol);
    }
    if map.perms.execute {
        return Err(Problem::Executable);
    }
    let same = |other: &&Map| other.region == map.region;
    if domain.maps.iter().filter(same).count() > 1 {
        return Err(Problem::Twice);
    }
    if region.phys_addr.is_some() {
        return if map.perms.write && !map.cached {
            Ok("Device")
        } else {
            Err(Problem::Device)
        };
    }
    let others = || {
        let maps = system.maps_of(map.region);
        maps.filter(|(other, _)| other.name != domain.name)
    };
    let kind = match map.perms.write {
        true if others().next().is_none() => "Private",
        true => "SharedWrite",
        false if others().any(|(_, other)| other.perms.write) => "SharedRead",
        false => "Constant",
    };
    if kind.starts_with("Shared") && region.size < protocol::ring::REGION_BYTES as u64 {
        return Err(Problem::SmallerThanRing(region.size));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> System {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SYSTEM_XML);
        System::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn handles_follow_from_the_authority_graph() {
        let audit = source(&repository(), "audit", false).unwrap();
        for line in [
            "rtc: Device, 0x1000;",
            "shell_to_audit: SharedRead, 0x22000;",
            "audit_to_shell: SharedWrite, 0x22000;",
            "audit_log: Private, runtime::patched!(audit_log_size);",
            "model_store: Constant, runtime::patched!(model_store_size);",
            "SHELL = 0;",
            "INFERENCE = 1;",
            "IRQ_34 = 2;",
            "IRQ_30 = 3;",
            "INFERENCE_CHILD = 0;",
        ] {
            assert!(audit.contains(line), "{line} in\n{audit}");
        }
        let inference = source(&repository(), "inference", true).unwrap();
        for line in ["arena: Private", "stack_bytes: 0x20000", "AUDIT = 0;"] {
            assert!(inference.contains(line), "{line} in\n{inference}");
        }
    }

    #[test]
    fn a_domain_without_the_fpu_is_not_built_for_a_target_with_one() {
        assert!(matches!(
            source(&repository(), "audit", true),
            Err(Error::Fpu { fpu: false, .. })
        ));
        assert!(matches!(
            source(&repository(), "nobody", true),
            Err(Error::NoDomain(_))
        ));
    }

    #[test]
    fn a_mapping_that_has_no_safe_handle_stops_the_build() {
        let problem = |change: fn(&mut System)| {
            let mut system = repository();
            change(&mut system);
            match source(&system, "audit", false) {
                Err(Error::Mapping { problem, .. }) => Some(problem),
                _ => None,
            }
        };
        assert_eq!(problem(|_| ()), None);
        assert_eq!(
            problem(|system| system.domains[0].maps[0].setvar_vaddr = None),
            Some(Problem::NoSymbol)
        );
        assert_eq!(
            problem(|system| system.domains[0].maps[1].perms.execute = true),
            Some(Problem::Executable)
        );
        assert_eq!(
            problem(|system| {
                let map = system.domains[0].maps[1].clone();
                system.domains[0].maps.push(map);
            }),
            Some(Problem::Twice)
        );
        assert_eq!(
            problem(|system| system.domains[0].maps[0].cached = true),
            Some(Problem::Device)
        );
        assert_eq!(
            problem(|system| system.regions[0].size = 0x1000),
            Some(Problem::SmallerThanRing(0x1000))
        );
    }
}
