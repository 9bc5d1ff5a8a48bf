//! `isolation`: see [`isolation::args`].

use clap::Parser;
use isolation::args::{Check, Cli, Command, Rocq};
use isolation::capdl::{self, Spec};
use isolation::documents::documents;
use isolation::policy::{Policy, layers};
use isolation::programs::Program;
use isolation::report::{self, Report, Subjects};
use isolation::view::View;
use isolation::{Error, Result, claims, picture, rocq};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use sysdesc::{Board, System};

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader of the output is gone, which is not a failure of the check.
        Err(Error::Print(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // If that fails too, there is nothing left to do.
            let _ = writeln!(std::io::stderr(), "isolation: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether no claim is violated.
fn run(cli: &Cli) -> Result<bool> {
    match &cli.command {
        Command::Check(arguments) => check(arguments),
        Command::Table => {
            print(&report::table())?;
            Ok(true)
        }
        Command::Rocq(arguments) => instance(arguments),
        Command::Docs(arguments) => {
            let system = description(&arguments.system, &Board::usual())?;
            let policy = policy(&[&arguments.policy], &Board::usual())?;
            let root = &arguments.root;
            let documents = documents(root, &system, &policy).map_err(|source| {
                let path = root.clone();
                Error::Read { path, source }
            })?;
            for document in documents {
                write(&root.join(&document.path), &document.text)?;
            }
            Ok(true)
        }
        Command::Strip { input, output } => {
            let spec = specification(input)?;
            let file = File::create(output).map_err(|source| write_error(output, source))?;
            let path = output.clone();
            spec.write(file)
                .map_err(|source| Error::Json { path, source })?;
            Ok(true)
        }
    }
}

fn check(arguments: &Check) -> Result<bool> {
    let board = Board::find(&arguments.boards, &arguments.board)?;
    let system = description(&arguments.system, &board)?;
    let policy = policy(&arguments.policy, &board)?;
    let image = match &arguments.capdl {
        Some(path) => Some(capdl::view(&specification(path)?, board.arch)),
        None => None,
    };
    let kernel = match &arguments.kernel {
        Some(path) => Some(serde_json::from_str(&text(path)?).map_err(|source| {
            let path = path.clone();
            Error::Json { path, source }
        })?),
        None => None,
    };
    let programs = match &arguments.programs {
        Some(folder) => Some(programs(&system, folder)?),
        None => None,
    };
    let report = Report::of(Subjects {
        system: &system,
        policy: &policy,
        programs: programs.as_ref(),
        image,
        kernel: kernel.as_ref(),
        board: &board,
        configuration: arguments.config.into(),
    });

    if let Some(path) = &arguments.markdown {
        write(path, &report::markdown(&report))?;
    }
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report).map_err(|source| {
            let path = path.clone();
            Error::Json { path, source }
        })?;
        write(path, &(json + "\n"))?;
    }
    if let Some(path) = &arguments.svg {
        let view = View::of_description(&system, isolation::microkit::Configuration::Release);
        write(path, &picture::svg(&system, &view, &policy))?;
    }
    if arguments.quiet || arguments.silent {
        for (claim, violation) in report.violations() {
            print(&format!("{}: {violation}\n", claim.id()))?;
        }
    }
    if arguments.silent {
        if !report.holds() {
            print(&format!(
                "{} is not what {} explains. Correct it, or correct the policy and the argument for it \
                (docs/isolation.md has the claims)\n",
                arguments.system.display(),
                claims::list(arguments.policy.iter().map(|path| path.display()))
            ))?;
        }
    } else if arguments.quiet {
        print(report::text(&report).lines().last().unwrap_or_default())?;
        print("\n")?;
    } else {
        print(&report::text(&report))?;
    }
    Ok(report.holds())
}

fn instance(arguments: &Rocq) -> Result<bool> {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let Some(path) = &arguments.capdl else {
        let system = description(&arguments.system, &Board::usual())?;
        print(&rocq::instance(&system, &name(&arguments.system)))?;
        return Ok(true);
    };
    match rocq::image(
        &capdl::view(&specification(path)?, Board::usual().arch),
        &name(path),
    ) {
        Ok(text) => {
            print(&text)?;
            Ok(true)
        }
        Err(problem) => {
            let _ = writeln!(
                std::io::stderr(),
                "isolation: the proofs cannot represent this: {problem}"
            );
            Ok(false)
        }
    }
}

fn description(path: &Path, board: &Board) -> Result<System> {
    System::parse_on(&text(path)?, board).map_err(|source| {
        let path = path.to_owned();
        Error::Description { path, source }
    })
}

/// The files together are one policy: see [`layers`].
fn policy(paths: &[impl AsRef<Path>], board: &Board) -> Result<Policy> {
    let failed = |path: &Path, source| {
        let path = path.to_owned();
        Error::Policy { path, source }
    };
    if let [path] = paths {
        let path = path.as_ref();
        // Its errors have a line.
        return Policy::parse_on(&text(path)?, board).map_err(|source| failed(path, source));
    }
    let read = |path: &Path| layers::read(&text(path)?).map_err(|source| failed(path, source));
    let read: Result<Vec<_>> = paths.iter().map(|path| read(path.as_ref())).collect();
    let last = paths.last().map_or(Path::new(""), AsRef::as_ref);
    Policy::of_layers(read?, board).map_err(|source| failed(last, source))
}

/// The files of all domains, by the domains' names.
fn programs(system: &System, folder: &Path) -> Result<BTreeMap<String, Program>> {
    let mut programs = BTreeMap::new();
    for domain in &system.domains {
        let path = folder.join(&domain.program_image);
        let bytes = std::fs::read(&path).map_err(|source| {
            let path = path.clone();
            Error::Read { path, source }
        })?;
        let program = Program::read(&bytes).map_err(|source| Error::Program { path, source })?;
        programs.insert(domain.name.clone(), program);
    }
    Ok(programs)
}

fn specification(path: &Path) -> Result<Spec> {
    let owned = || path.to_owned();
    let file = File::open(path).map_err(|source| Error::Read {
        path: owned(),
        source,
    })?;
    Spec::read(file).map_err(|source| Error::Json {
        path: owned(),
        source,
    })
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| {
        let path = path.to_owned();
        Error::Read { path, source }
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|source| write_error(path, source))
}

fn write_error(path: &Path, source: std::io::Error) -> Error {
    let path = path.to_owned();
    Error::Write { path, source }
}

fn print(text: &str) -> Result<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
