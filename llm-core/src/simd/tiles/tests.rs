use super::*;
use crate::simd::Cpu;
use std::vec;
use std::vec::Vec;

#[test]
fn rows_of_tiles_become_floats_as_each_row_does() {
    let (rows, columns) = (37, 512);
    for ty in TensorType::ALL {
        let row = ty.row_bytes(columns).expect("whole blocks");
        let mut state = 5u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut file: Vec<u8> = (0..rows * row).map(|_| next()).collect();
        for block in file.chunks_mut(ty.block_bytes()) {
            for &at in ty.f16_places() {
                let scale = f16::from_f32(f32::from(next()) / 300.0 + 0.01);
                block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
            }
        }
        let mut tiles = vec![0; file.len()];
        repack(ty, columns, &file, &mut tiles);
        for (first, count) in [(0, 32), (16, 21), (32, 5), (5, 20)] {
            let mut expected = vec![0.0; count * columns];
            for (r, out) in expected.chunks_exact_mut(columns).enumerate() {
                dequantize(ty, &tiles, first + r, out);
            }
            for cpu in Cpu::all() {
                let mut got = vec![0.0; count * columns];
                cpu.dequantize_rows(ty, &tiles, first, columns, &mut got);
                let same = got
                    .iter()
                    .zip(&expected)
                    .all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{ty:?} {first} {}", cpu.name());
            }
        }
    }
}
