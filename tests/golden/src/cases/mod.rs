//! The cases, by topic.

pub mod adapters;
pub mod attention;
pub mod matrices;
pub mod model;
pub mod protocol;
pub mod sampler;
pub mod tokenizer;
pub mod vectors;

use crate::bits::Bits;
use alloc::boxed::Box;
use llm_core::simd::Cpu;
use llm_core::team::{Alone, Team};
use llm_core::testing::Memory;

/// What a model runs on.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// The kernels.
    pub cpu: Cpu,
    /// Number of workers that compute together.
    pub workers: usize,
    /// Makes a team of that many workers, which divides even the shortest jobs.
    pub team: fn(usize) -> Box<dyn Team>,
    /// Memory for an arena of this many bytes, which the whole team can reach. Each is dropped before the next is requested.
    pub memory: fn(usize) -> Box<dyn AsMut<[u8]>>,
}

impl Machine {
    /// A machine of one worker.
    #[must_use]
    pub fn alone(cpu: Cpu) -> Self {
        Self {
            cpu,
            workers: 1,
            team: |_| Box::new(Alone),
            memory: Self::HEAP,
        }
    }

    /// Memory from the heap, for a team whose members share it.
    pub const HEAP: fn(usize) -> Box<dyn AsMut<[u8]>> = |bytes| Box::new(Memory::new(bytes));

    /// Its team.
    #[must_use]
    pub fn team(&self) -> Box<dyn Team> {
        (self.team)(self.workers)
    }

    /// Memory for an arena.
    #[must_use]
    pub fn memory(&self, bytes: usize) -> Box<dyn AsMut<[u8]>> {
        (self.memory)(bytes)
    }
}

/// The computation of a case.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// Runs with the kernels of a CPU; all CPUs must give the same result.
    On(fn(Cpu, &mut Bits)),
    /// Runs a model; all CPUs and any number of workers must give the same result.
    Model(fn(&Machine, &mut Bits)),
    /// Does not depend on a CPU.
    Once(fn(&mut Bits)),
}

/// A computation and its name in the table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The name.
    pub name: &'static str,
    /// The computation.
    pub run: Run,
}

impl Case {
    const fn on(name: &'static str, run: fn(Cpu, &mut Bits)) -> Self {
        let run = Run::On(run);
        Self { name, run }
    }

    const fn model(name: &'static str, run: fn(&Machine, &mut Bits)) -> Self {
        let run = Run::Model(run);
        Self { name, run }
    }

    const fn once(name: &'static str, run: fn(&mut Bits)) -> Self {
        let run = Run::Once(run);
        Self { name, run }
    }

    /// Runs it.
    pub fn compute(&self, machine: &Machine, bits: &mut Bits) {
        match self.run {
            Run::On(run) => run(machine.cpu, bits),
            Run::Model(run) => run(machine, bits),
            Run::Once(run) => run(bits),
        }
    }
}

/// All cases.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        matrices::CASES,
        vectors::CASES,
        attention::CASES,
        tokenizer::CASES,
        sampler::CASES,
        model::CASES,
        adapters::CASES,
        protocol::CASES,
    ]
    .into_iter()
    .flatten()
}
