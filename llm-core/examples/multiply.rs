//! `multiply TYPE ROWS COLUMNS TOKENS TIMES [CPU]`: multiplies a matrix, for what counts instructions
//! (`tools/bench-kernels`): two runs that differ in TIMES differ in the products alone. CPU is the build's unless it is
//! `scalar` or `words`.
//!
//! Nothing else that it does is random or depends on the time, and the weights are bytes that no quantiser has to
//! make.

use llm_core::outputs::Outputs;
use llm_core::quantize::{
    ActivationQ8, ActivationQ8K, ActivationType, BLOCK, SUPER_BLOCK, TensorType,
    quantize_activations, quantize_activations_k,
};
use llm_core::simd::tiles::repack;
use llm_core::simd::{Activations, Cpu, Matrix};
use llm_core::testing::Memory;
use std::error::Error;
use std::hint::black_box;
use zerocopy::FromBytes;

/// A small number as an f16 (0.01), as a bf16, and twice as an f32: whatever a format reads of it is finite.
const SCALE: [u8; 2] = [0x1F, 0x21];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, numbers @ ..] = &arguments[..] else {
        return Err("usage: multiply TYPE ROWS COLUMNS TOKENS TIMES [CPU]".into());
    };
    let (numbers, cpu) = match numbers {
        [numbers @ .., cpu] if cpu == Cpu::SCALAR.name() => (numbers, Cpu::SCALAR),
        [numbers @ .., cpu] if cpu == Cpu::WORDS.name() => (numbers, Cpu::WORDS),
        _ => (numbers, Cpu::of_build()),
    };
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|n| n.parse())
        .collect::<Result<_, _>>()?;
    let [rows, columns, tokens, times] = numbers[..] else {
        return Err("ROWS COLUMNS TOKENS TIMES are four numbers".into());
    };
    let ty = TensorType::ALL
        .into_iter()
        .find(|ty| ty.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("no type '{name}'"))?;
    let stride = ty.row_bytes(columns).ok_or_else(|| {
        format!(
            "{columns} columns are not a whole number of blocks of {}",
            ty.block_len()
        )
    })?;
    let mut w = vec![0; rows * stride];
    match ty.activations() {
        ActivationType::Float => w.as_chunks_mut::<2>().0.fill(SCALE),
        _ => {
            for (i, byte) in w.iter_mut().enumerate() {
                *byte = (i * 37 % 251) as u8;
            }
            for block in w.chunks_exact_mut(ty.block_bytes()) {
                for &place in ty.f16_places() {
                    block[place..place + 2].copy_from_slice(&SCALE);
                }
            }
        }
    }
    let mut tiles = Memory::new(w.len());
    match cpu.wants_tiles() {
        true => repack(ty, columns, &w, tiles.bytes()),
        false => tiles.bytes().copy_from_slice(&w),
    }
    let matrix = Matrix {
        ty,
        rows,
        columns,
        tiled: cpu.wants_tiles(),
        bytes: tiles.bytes(),
    };
    let mut x = Memory::new(4 * tokens * columns);
    let x = <[f32]>::mut_from_bytes(x.bytes()).map_err(|_| "aligned memory")?;
    for (i, x) in x.iter_mut().enumerate() {
        *x = (i * 37 % 101) as f32 / 50.0 - 1.0;
    }
    let mut small = vec![ActivationQ8::ZERO; x.len() / BLOCK];
    let mut large = vec![ActivationQ8K::ZERO; x.len() / SUPER_BLOCK];
    let x = match ty.activations() {
        ActivationType::Float => Activations::Float(x),
        ActivationType::Q8 => {
            quantize_activations(x, &mut small)?;
            Activations::Q8(&small)
        }
        ActivationType::Q8K => {
            quantize_activations_k(x, &mut large)?;
            Activations::Q8K(&large)
        }
    };
    let mut out = Memory::new(4 * tokens * rows);
    let out = <[f32]>::mut_from_bytes(out.bytes()).map_err(|_| "aligned memory")?;
    for _ in 0..times {
        cpu.multiply(black_box(&matrix), x, &mut Outputs::new(out, rows, rows));
    }
    println!(
        "{} {} {}",
        cpu.name(),
        ty.name(),
        black_box(out).iter().sum::<f32>()
    );
    Ok(())
}
