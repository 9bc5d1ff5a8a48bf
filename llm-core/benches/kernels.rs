//! The matrix kernels of every instruction set that this CPU has, for one token and for a batch.
//!
//! The matrices are those of a feed-forward layer of 15.7 M parameters, 384 x 1536 (of super-blocks: 512 x 1536), and fit the
//! second-level cache, so that the figures are those of the kernels and not of the memory.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use llm_core::outputs::Outputs;
use llm_core::quantize::{
    ActivationQ8, ActivationQ8K, ActivationType, BLOCK, SUPER_BLOCK, TensorType,
    quantize_activations, quantize_activations_k, quantize_row,
};
use llm_core::simd::tiles::repack;
use llm_core::simd::{Activations, Cpu, Matrix};
use llm_core::testing::Memory;
use std::hint::black_box;
use std::time::Duration;
use zerocopy::FromBytes;

const ROWS: usize = 1536;

/// Numbers that are not all alike.
fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0)
        .collect()
}

fn matrices(criterion: &mut Criterion) {
    for ty in TensorType::ALL {
        let mut group = criterion.benchmark_group(format!("matrix in {}", ty.name()));
        group.measurement_time(Duration::from_secs(1));
        group.warm_up_time(Duration::from_millis(300));
        let columns = 384usize.next_multiple_of(ty.block_len());
        let stride = ty.row_bytes(columns).unwrap();
        let mut rows = vec![0; ROWS * stride];
        for (row, values) in rows
            .chunks_mut(stride)
            .zip(numbers(ROWS * columns).chunks(columns))
        {
            quantize_row(ty, values, row).unwrap();
        }
        let mut memory = Memory::new(rows.len());
        repack(ty, columns, &rows, memory.bytes());
        let matrix = Matrix {
            ty,
            rows: ROWS,
            columns,
            tiled: true,
            bytes: memory.bytes(),
        };
        for tokens in [1, 64] {
            let x = numbers(tokens * columns);
            let mut small = vec![ActivationQ8::ZERO; x.len() / BLOCK];
            quantize_activations(&x, &mut small).unwrap();
            let mut large = vec![ActivationQ8K::ZERO; x.len() / SUPER_BLOCK];
            if ty.activations() == ActivationType::Q8K {
                quantize_activations_k(&x, &mut large).unwrap();
            }
            let x = match ty.activations() {
                ActivationType::Float => Activations::Float(&x),
                ActivationType::Q8 => Activations::Q8(&small),
                ActivationType::Q8K => Activations::Q8K(&large),
            };
            let mut out = Memory::new(4 * tokens * ROWS);
            let out = <[f32]>::mut_from_bytes(out.bytes()).unwrap();
            // Multiply-accumulates.
            group.throughput(Throughput::Elements((tokens * ROWS * columns) as u64));
            // The reference is for tests: it undoes the tiles.
            for cpu in Cpu::all().filter(|cpu| cpu.wants_tiles()) {
                group.bench_function(BenchmarkId::new(cpu.name(), tokens), |bencher| {
                    let out = &mut Outputs::new(out, ROWS, ROWS);
                    bencher.iter(|| cpu.multiply(black_box(&matrix), x, out));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(kernels, matrices);
criterion_main!(kernels);
