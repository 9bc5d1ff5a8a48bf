//! Compares every path with the scalar one, bit for bit.

use super::tiles::{TILE, dequantize, repack};
use super::*;
use crate::quantize::{ActivationType, dequantize_row};
use crate::testing::Memory;
use crate::testing::kernels::multiply;
use half::{bf16, f16};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

#[test]
fn this_cpu_has_something() {
    assert_eq!(Cpu::all().next(), Some(Cpu::SCALAR));
    std::println!("tested on {}", Cpu::detect().name());
}

/// Rows of random bits, with finite floats.
fn weights(ty: TensorType, rows: usize, columns: usize, bits: &[u8], scales: &[u16]) -> Vec<u8> {
    let bytes = rows * ty.row_bytes(columns).unwrap();
    let mut bytes: Vec<u8> = bits.iter().copied().cycle().take(bytes).collect();
    let mut scales = scales.iter().map(|scale| f16::from_bits(*scale)).cycle();
    let mut scale = || scales.find(|scale| scale.is_finite()).unwrap();
    match ty {
        TensorType::F32 => {
            for float in bytes.as_chunks_mut::<4>().0 {
                // Exponents are below that of the largest, so that sums stay finite.
                float[3] &= 0xDF;
            }
        }
        TensorType::BF16 => {
            for float in bytes.as_chunks_mut::<2>().0 {
                *float = bf16::from_f32(scale().to_f32()).to_le_bytes();
            }
        }
        TensorType::F16 => {
            for float in bytes.as_chunks_mut::<2>().0 {
                *float = scale().to_le_bytes();
            }
        }
        _ => {
            for block in bytes.chunks_mut(ty.block_bytes()) {
                for place in ty.f16_places() {
                    block[*place..place + 2].copy_from_slice(&scale().to_le_bytes());
                }
            }
        }
    }
    bytes
}

/// Compares the products of a row-major matrix on the scalar path with those of its tiles on every path.
fn all_paths_agree(ty: TensorType, rows: usize, columns: usize, w: &[u8], x: &[f32]) {
    let matrix = Matrix {
        ty,
        rows,
        columns,
        tiled: false,
        bytes: w,
    };
    let mut expected = vec![0.0; rows * x.len() / columns];
    multiply(Cpu::SCALAR, &matrix, x, &mut expected).unwrap();
    let mut tiles = Memory::new(w.len());
    repack(ty, columns, w, tiles.bytes());
    let matrix = Matrix {
        tiled: true,
        bytes: tiles.bytes(),
        ..matrix
    };
    for cpu in Cpu::all() {
        // Every kernel must overwrite this.
        let mut out = vec![f32::NAN; expected.len()];
        multiply(cpu, &matrix, x, &mut out).unwrap();
        for (i, (a, b)) in out.iter().zip(&expected).enumerate() {
            let at = (i / rows, i % rows);
            assert_eq!(
                a.to_bits(),
                b.to_bits(),
                "{} {ty:?} {at:?}: {a}, not {b}",
                cpu.name()
            );
        }
    }
}

/// Columns of a matrix with two blocks per row; for floats, a number without useful factors.
fn columns(ty: TensorType) -> usize {
    match ty.activations() {
        ActivationType::Float => 37,
        _ => 2 * ty.block_len(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every format, any weights (including −128, subnormal and negative scales), any number of tokens and rows.
    #[test]
    fn all_paths_give_the_bits_of_the_scalar_one(
        bits in prop::collection::vec(any::<u8>(), 600..1200),
        extreme in prop::sample::select(&[None, None, Some(0x80), Some(0xFF), Some(0x7F), Some(0)]),
        scales in prop::collection::vec(any::<u16>(), 61),
        x in prop::collection::vec(-100f32..100.0, 2 * 15 * 256),
        ends in any::<bool>(),
        tokens in 1usize..=15,
        left in 0usize..=3,
    ) {
        let bits = extreme.map_or(bits, |byte| vec![byte]);
        // Only activations of ±127.
        let x: Vec<f32> = match ends {
            true => x.iter().map(|x| x.signum()).collect(),
            false => x,
        };
        for ty in TensorType::ALL {
            let (rows, columns) = (2 * TILE + left, columns(ty));
            let w = weights(ty, rows, columns, &bits, &scales);
            all_paths_agree(ty, rows, columns, &w, &x[..tokens * columns]);
        }
    }

    /// Rows are recovered from tiles unchanged.
    #[test]
    fn a_row_of_tiles_has_the_values_of_the_row(
        bits in prop::collection::vec(any::<u8>(), 600..1200),
        scales in prop::collection::vec(any::<u16>(), 61),
    ) {
        for ty in TensorType::ALL {
            let (rows, columns) = (TILE + 3, columns(ty));
            let w = weights(ty, rows, columns, &bits, &scales);
            let mut tiles = vec![0; w.len()];
            repack(ty, columns, &w, &mut tiles);
            for (r, row) in w.chunks_exact(w.len() / rows).enumerate() {
                let (mut expected, mut got) = (vec![0.0; columns], vec![0.0; columns]);
                dequantize_row(ty, row, &mut expected).unwrap();
                dequantize(ty, &tiles, r, &mut got);
                let same = got.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                prop_assert!(same, "row {r} of {ty:?}");
            }
        }
    }
}
