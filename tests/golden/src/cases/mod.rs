//! The cases, by what they are about.

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

/// What a case computes.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// With the kernels of a CPU, which all must give the same.
    On(fn(Cpu, &mut Bits)),
    /// What no CPU is passed to.
    Once(fn(&mut Bits)),
}

/// A computation and its name in the table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The name.
    pub name: &'static str,
    /// What is computed.
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

/// All of them.
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
