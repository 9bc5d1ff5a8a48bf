//! Vector computations: activations in 8 bits, norms, RoPE, softmax, gates, and the functions below them.

use super::Case;
use crate::bits::Bits;
use crate::generator::Generator;
use alloc::vec;
use alloc::vec::Vec;
use llm_core::arithmetic;
use llm_core::hash::sha256;
use llm_core::quantize::{ActivationQ8, ActivationQ8K};
use llm_core::simd::Cpu;
use llm_core::testing::kernels;

/// Cases of vector computations.
pub const CASES: &[Case] = &[
    Case::on("activations_q8", activations_q8),
    Case::on("activations_q8_k", activations_q8_k),
    Case::on("rms_norm", rms_norm),
    Case::on("layer_norm", layer_norm),
    Case::on("rope", rope),
    Case::on("swiglu", swiglu),
    Case::on("gelu", gelu),
    Case::on("geglu", geglu),
    Case::on("silu", silu),
    Case::on("soft_cap", soft_cap),
    Case::on("scale", scale),
    Case::on("add", add),
    Case::once("softmax", softmax),
    Case::once("sums", sums),
    Case::once("exp", exp),
    Case::once("angles", angles),
    Case::once("sha256", digests),
];

/// Lengths around the sixteen lanes of a reduction, and widths that models have.
const LENGTHS: [usize; 9] = [1, 7, 15, 16, 17, 31, 64, 255, 384];

fn activations_q8(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(500);
    let x = generator.activations(64 * 32);
    let mut q = vec![ActivationQ8::ZERO; x.len() / 32];
    kernels::quantize_activations(cpu, &x, &mut q).expect("finite");
    for q in &q {
        bits.bytes(&q.q.map(|q| q as u8));
        bits.floats(&[q.d, q.s]);
        bits.number(q.sum as u64);
    }
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        let mut x = x[..32].to_vec();
        x[31] = wrong;
        let refused = kernels::quantize_activations(cpu, &x, &mut q[..1]).is_err();
        assert!(refused, "{wrong} has no scale in f16");
    }
}

fn activations_q8_k(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(501);
    let x = generator.activations(12 * 256);
    let mut q = vec![ActivationQ8K::ZERO; x.len() / 256];
    kernels::quantize_activations_k(cpu, &x, &mut q).expect("finite");
    for q in &q {
        bits.bytes(&q.q.map(|q| q as u8));
        bits.floats(&[q.d]);
        q.sums.iter().for_each(|sum| bits.bytes(&sum.to_le_bytes()));
    }
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = x[..256].to_vec();
        x[255] = wrong;
        let refused = kernels::quantize_activations_k(cpu, &x, &mut q[..1]).is_err();
        assert!(refused, "{wrong} is not finite");
    }
}

fn rms_norm(cpu: Cpu, bits: &mut Bits) {
    norms(502, bits, |x, w| kernels::rms_norm(cpu, x, w, 1e-5));
}

fn layer_norm(cpu: Cpu, bits: &mut Bits) {
    norms(503, bits, |x, w| kernels::layer_norm(cpu, x, w, 1e-5));
}

fn norms(seed: u64, bits: &mut Bits, norm: impl Fn(&mut [f32], &[f32])) {
    let mut generator = Generator::new(seed);
    for length in LENGTHS {
        for scale in [1e-12, 1.0, 1e12] {
            let (mut x, w) = (
                generator.floats(length, scale),
                generator.floats(length, 2.0),
            );
            norm(&mut x, &w);
            bits.floats(&x);
        }
    }
}

/// Covers adjacent pairs and pairs of halves, and heads in which all elements are rotated or only some.
fn rope(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(504);
    for (size, pairs) in [(8, 4), (64, 32), (80, 16), (96, 48)] {
        for halves in [false, true] {
            let mut heads = generator.floats(3 * size, 8.0);
            let angles: Vec<_> = (0..pairs)
                .map(|_| generator.float(3.2))
                .map(|angle| [kernels::cosf(angle), kernels::sinf(angle)])
                .collect();
            kernels::rotate(cpu, &mut heads, size, &angles, halves);
            bits.floats(&heads);
        }
    }
}

fn swiglu(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(505);
    for (length, scale) in LENGTHS
        .into_iter()
        .zip([1.0, 10.0, 100.0].into_iter().cycle())
    {
        let (mut gate, up) = (
            generator.floats(length, scale),
            generator.floats(length, 3.0),
        );
        kernels::swiglu(cpu, &mut gate, &up);
        bits.floats(&gate);
    }
}

fn gelu(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(506);
    for (length, scale) in LENGTHS
        .into_iter()
        .zip([1.0, 10.0, 100.0].into_iter().cycle())
    {
        let mut x = generator.floats(length, scale);
        kernels::gelu(cpu, &mut x);
        bits.floats(&x);
    }
}

fn geglu(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(509);
    for (length, scale) in LENGTHS
        .into_iter()
        .zip([1.0, 10.0, 100.0].into_iter().cycle())
    {
        let (mut gate, up) = (
            generator.floats(length, scale),
            generator.floats(length, 3.0),
        );
        kernels::geglu(cpu, &mut gate, &up);
        bits.floats(&gate);
    }
}

fn silu(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(510);
    for (length, scale) in LENGTHS
        .into_iter()
        .zip([1.0, 10.0, 100.0].into_iter().cycle())
    {
        let mut x = generator.floats(length, scale);
        kernels::silu(cpu, &mut x);
        bits.floats(&x);
    }
}

/// Covers inputs from those that the cap hardly changes to those that are all at the cap.
fn soft_cap(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(511);
    for (length, scale) in LENGTHS
        .into_iter()
        .zip([1e-3, 30.0, 1e4].into_iter().cycle())
    {
        for cap in [1.5, 30.0, 50.0] {
            let mut x = generator.floats(length, scale);
            kernels::soft_cap(cpu, &mut x, cap);
            bits.floats(&x);
        }
    }
}

fn scale(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(512);
    for length in LENGTHS {
        let mut x = generator.floats(length, 1e3);
        kernels::scale(cpu, &mut x, 0.22);
        bits.floats(&x);
    }
}

fn add(cpu: Cpu, bits: &mut Bits) {
    let mut generator = Generator::new(507);
    for length in LENGTHS {
        let (mut x, y) = (
            generator.floats(length, 1e3),
            generator.floats(length, 1e-3),
        );
        kernels::add(cpu, &mut x, &y);
        bits.floats(&x);
    }
}

fn softmax(bits: &mut Bits) {
    let mut generator = Generator::new(508);
    for length in LENGTHS {
        for scale in [0.0, 1.0, 50.0, 3e38] {
            let mut x = generator.floats(length, scale);
            let sum = arithmetic::softmax_numerators(&mut x, 0);
            bits.floats(&x);
            bits.floats(&[sum]);
        }
    }
}

fn sums(bits: &mut Bits) {
    let mut generator = Generator::new(509);
    for length in LENGTHS {
        let (a, b) = (
            generator.floats(length, 1e4),
            generator.floats(length, 1e-2),
        );
        bits.floats(&[arithmetic::sum(&a), arithmetic::dot_f32(&a, &b)]);
    }
}

/// Covers the whole range, and inputs beyond it, which are clamped.
fn exp(bits: &mut Bits) {
    let mut generator = Generator::new(510);
    let ends = [
        0.0,
        -0.0,
        88.3,
        -87.3,
        1e3,
        -1e3,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
    ];
    bits.floats(&ends.map(arithmetic::exp));
    for scale in [1e-6, 0.35, 1.0, 10.0, 90.0] {
        let x = generator.floats(500, scale);
        x.iter().for_each(|x| bits.floats(&[arithmetic::exp(*x)]));
    }
}

/// The functions behind RoPE's angles: powers of the base, cosine and sine up to the longest context.
fn angles(bits: &mut Bits) {
    let mut generator = Generator::new(511);
    for base in [1e4, 5e5, 1e6] {
        for size in [8, 64, 128] {
            bits.floats(&[kernels::powf(base, -2.0 / size as f32)]);
        }
    }
    for scale in [1.0, 100.0, 1e5] {
        for angle in generator.floats(400, scale) {
            bits.floats(&[kernels::cosf(angle), kernels::sinf(angle)]);
        }
    }
}

/// The hash that identifies models and chains the log, for lengths around a block's.
fn digests(bits: &mut Bits) {
    let mut generator = Generator::new(512);
    for length in [0, 1, 55, 56, 63, 64, 65, 119, 128, 1000] {
        bits.bytes(&sha256(&generator.bytes(length)));
    }
}
