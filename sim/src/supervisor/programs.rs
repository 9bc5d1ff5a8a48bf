//! External programs that run as domains. They are named on the command line, and checked before anything starts.
//!
//! Such a program is trusted to become its domain, which `sim::domain_main` does for it. The check here only catches a
//! program that forgot to: a malicious one can do harm before it is locked down. The simulation is for trying your own
//! programs; seL4 confines other people's too.

use rustix::fs::{Access, access};
use rustix::process::Pid;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use sysdesc::System;

/// A domain and its executable, as given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    domain: String,
    file: PathBuf,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((domain, file)) if !domain.is_empty() && !file.is_empty() => Ok(Self {
                domain: domain.to_owned(),
                file: file.into(),
            }),
            _ => {
                Err("write DOMAIN=FILE: the name of a protection domain and its executable".into())
            }
        }
    }
}

/// Why a program cannot run as a domain.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("--program {domain}={}: the system has no protection domain '{domain}'; it has {known}", file.display())]
    NoDomain {
        domain: String,
        file: PathBuf,
        known: String,
    },
    #[error("--program names a program for {domain} twice")]
    Twice { domain: String },
    #[error("--program {domain}={}: {cause}", file.display())]
    File {
        domain: String,
        file: PathBuf,
        cause: std::io::Error,
    },
    #[error("--program {domain}={}: not an executable file", file.display())]
    NoProgram { domain: String, file: PathBuf },
    #[error("{domain} did not start: {} ended with status {status}; is it made with sim::domain_main or sim/c?", file.display())]
    Ended {
        domain: String,
        file: PathBuf,
        status: i32,
    },
    #[error("{domain} did not start: {} has not locked itself down; is it made with sim::domain_main or sim/c?", file.display())]
    Unconfined { domain: String, file: PathBuf },
}

/// One per domain of the system, in its order: the executable given for it, if any.
pub(super) fn of_domains(
    system: &System,
    named: &[Named],
) -> Result<Vec<Option<PathBuf>>, ProgramError> {
    let mut programs = vec![None; system.domains.len()];
    for Named { domain, file } in named {
        let (domain, file) = (domain.clone(), file.clone());
        let Some(index) = system.domains.iter().position(|d| d.name == domain) else {
            let names: Vec<_> = system.domains.iter().map(|d| d.name.as_str()).collect();
            let known = names.join(", ");
            return Err(ProgramError::NoDomain {
                domain,
                file,
                known,
            });
        };
        if programs[index].is_some() {
            return Err(ProgramError::Twice { domain });
        }
        let is_file = match file.metadata() {
            Ok(metadata) => metadata.is_file(),
            Err(cause) => {
                return Err(ProgramError::File {
                    domain,
                    file,
                    cause,
                });
            }
        };
        if !is_file || access(&file, Access::EXEC_OK).is_err() {
            return Err(ProgramError::NoProgram { domain, file });
        }
        // Domains are started in the root folder, so a relative path would not be found.
        let path = std::path::absolute(&file);
        programs[index] = Some(path.map_err(|cause| ProgramError::File {
            domain,
            file,
            cause,
        })?);
    }
    Ok(programs)
}

/// Whether a domain's process has given up its right to make system calls. Its end is reported elsewhere.
pub(super) fn check_confined(domain: &str, file: &Path, pid: Pid) -> Result<(), ProgramError> {
    let own = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    if status.map_or(true, |status| is_confined(&own, &status)) {
        return Ok(());
    }
    Err(ProgramError::Unconfined {
        domain: domain.to_owned(),
        file: file.to_owned(),
    })
}

/// Whether a process has a seccomp filter of its own, by its `/proc/PID/status` and the supervisor's. In a container the
/// supervisor may have a filter too, and every process that it starts inherits that one. Linux before 5.9 does not count
/// filters, so there the inherited one is taken for the process's own.
fn is_confined(supervisor: &str, process: &str) -> bool {
    let value = |status: &str, name: &str| -> Option<u32> {
        let mut values = status.lines().filter_map(|line| line.strip_prefix(name));
        values.next()?.trim().parse().ok()
    };
    let filters = |status: &str| value(status, "Seccomp_filters:");
    match (filters(supervisor), filters(process)) {
        (Some(inherited), Some(filters)) => filters > inherited,
        _ => value(process, "Seccomp:") == Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_the_supervisor_has_too_confines_nobody() {
        let status = |mode, filters| {
            format!("NoNewPrivs:\t1\nSeccomp:\t{mode}\nSeccomp_filters:\t{filters}\n")
        };
        for (supervisor, process, expected) in [
            (status(0, 0), status(0, 0), false),
            (status(0, 0), status(2, 1), true),
            (status(2, 1), status(2, 1), false),
            (status(2, 1), status(2, 2), true),
            // Linux before 5.9.
            (
                String::from("Seccomp:\t0\n"),
                String::from("Seccomp:\t0\n"),
                false,
            ),
            (
                String::from("Seccomp:\t0\n"),
                String::from("Seccomp:\t2\n"),
                true,
            ),
        ] {
            assert_eq!(
                is_confined(&supervisor, &process),
                expected,
                "{supervisor}{process}"
            );
        }
    }

    fn system() -> System {
        System::parse(include_str!("../../../system.xml")).unwrap()
    }

    fn refused(words: &[&str]) -> String {
        let named: Vec<_> = words.iter().map(|word| word.parse().unwrap()).collect();
        of_domains(&system(), &named).unwrap_err().to_string()
    }

    #[test]
    fn each_program_belongs_to_the_domain_that_was_named() {
        let named: Named = "shell=/bin/sh".parse().unwrap();
        let programs = of_domains(&system(), &[named]).unwrap();
        let system = system();
        let expected = system.domains.iter().map(|domain| {
            let is_it = domain.name == "shell";
            is_it.then(|| PathBuf::from("/bin/sh"))
        });
        assert_eq!(programs, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_names_no_domain_or_no_executable_is_refused_with_what_there_is() {
        assert_eq!(
            refused(&["triage=/bin/sh"]),
            "--program triage=/bin/sh: the system has no protection domain 'triage'; it has audit, inference, shell"
        );
        assert_eq!(
            refused(&["shell=/nowhere/triage"]),
            "--program shell=/nowhere/triage: No such file or directory (os error 2)"
        );
        for file in ["/", "/etc/passwd"] {
            assert_eq!(
                refused(&[&format!("shell={file}")]),
                format!("--program shell={file}: not an executable file")
            );
        }
        assert_eq!(
            refused(&["shell=/bin/sh", "shell=/bin/sh"]),
            "--program names a program for shell twice"
        );
    }

    #[test]
    fn a_program_is_a_name_an_equals_sign_and_a_file() {
        for text in ["", "shell", "=/bin/sh", "shell="] {
            let refused = text.parse::<Named>().unwrap_err();
            assert!(refused.contains("write DOMAIN=FILE"), "{text}: {refused}");
        }
    }
}
