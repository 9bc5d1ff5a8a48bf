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
use llm_core::simd::Cpu;

/// The computation of a case.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// Runs with the kernels of a CPU; all CPUs must give the same result.
    On(fn(Cpu, &mut Bits)),
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

    const fn once(name: &'static str, run: fn(&mut Bits)) -> Self {
        let run = Run::Once(run);
        Self { name, run }
    }

    /// Runs it.
    pub fn compute(&self, cpu: Cpu, bits: &mut Bits) {
        match self.run {
            Run::On(run) => run(cpu, bits),
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
