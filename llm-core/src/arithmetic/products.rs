//! Matrix products.

use crate::outputs::Outputs;
use crate::quantize::blocks::{FloatType, Small, SmallBlock, Super, SuperBlock};
use crate::quantize::{ActivationQ8, ActivationQ8K, GROUP};

/// Maximum number of tokens that go through a matrix together.
pub const MAX_BATCH: usize = 64;

/// Rows computed together, so that their sums do not depend on each other.
const ROWS: usize = 8;

/// out\[t\]\[r\] = Σ_c w\[r\]\[c\] · x\[t\]\[c\] for float weights, `w` row by row, with `columns` elements per row.
/// `w` may omit the first `first` rows of `out`.
pub fn matmul_float<F: FloatType>(
    w: &[u8],
    first: usize,
    columns: usize,
    x: &[f32],
    out: &mut Outputs<'_>,
) {
    let row = columns * F::BYTES;
    let end = first + w.len() / row;
    for (t, x) in x.chunks_exact(columns).enumerate() {
        let out = out.token(t)[first..end].chunks_mut(ROWS);
        for (w, out) in w.chunks(row * ROWS).zip(out) {
            let mut sums = [0.0f32; ROWS];
            for (c, &x) in x.iter().enumerate() {
                for (r, sum) in sums.iter_mut().enumerate().take(out.len()) {
                    *sum += F::value(&w[r * row + c * F::BYTES..]) * x;
                }
            }
            out.copy_from_slice(&sums[..out.len()]);
        }
    }
}

/// out\[t\]\[r\] = Σ_b ((Σ_i q_w · q_x) · (d_w · d_x) + m_w · s_x) for weights in blocks of 32, `w` row by row, with
/// `blocks` blocks per row. `w` may omit the first `first` rows of `out`. Formats without an offset omit its term.
pub fn matmul_small<B: SmallBlock>(
    w: &[B],
    first: usize,
    blocks: usize,
    x: &[ActivationQ8],
    out: &mut Outputs<'_>,
) {
    matmul_blocks(w, first, blocks, x, out, |w: &B| {
        let w = w.unpack();
        move |x: &ActivationQ8| product_small(&w, x, B::OFFSET)
    });
}

/// Contribution of a block of 32 to a sum.
#[must_use]
#[inline(always)]
pub fn product_small(w: &Small, x: &ActivationQ8, offset: bool) -> f32 {
    let product = dot_i8(&w.q, &x.q) as f32 * (w.d * x.d);
    if offset { product + w.m * x.s } else { product }
}

/// out\[t\]\[r\] = Σ_b ((d_w · d_x) · Σ_g s_g Σ_i q_w · q_x − (d_min · d_x) · Σ_g m_g Σ_i q_x) for super-blocks;
/// otherwise like [`matmul_small`].
pub fn matmul_super<B: SuperBlock>(
    w: &[B],
    first: usize,
    blocks: usize,
    x: &[ActivationQ8K],
    out: &mut Outputs<'_>,
) {
    matmul_blocks(w, first, blocks, x, out, |w: &B| {
        let w = w.unpack();
        move |x: &ActivationQ8K| product_super(&w, x, B::MINIMA)
    });
}

/// Contribution of a block of 256 to a sum.
#[must_use]
#[inline(always)]
pub fn product_super(w: &Super, x: &ActivationQ8K, minima: bool) -> f32 {
    let (mut sum, mut minimum) = (0i32, 0i32);
    let groups = w.q.as_chunks::<GROUP>().0.iter();
    let groups = groups.zip(x.q.as_chunks::<GROUP>().0);
    for (g, (w_q, x_q)) in groups.enumerate() {
        let scale = i32::from(w.scales[g]);
        sum = sum.wrapping_add(scale.wrapping_mul(dot_i8(w_q, x_q)));
        let product = i32::from(w.minima[g]).wrapping_mul(i32::from(x.sums[g]));
        minimum = minimum.wrapping_add(product);
    }
    let product = sum as f32 * (w.d * x.d);
    if minima {
        product - minimum as f32 * (w.d_min * x.d)
    } else {
        product
    }
}

/// Each row adds its blocks in ascending order. A block is unpacked once for all tokens of a batch, which are at most
/// [`MAX_BATCH`]. `w` has the rows from `first`.
fn matmul_blocks<W, X, P: Fn(&X) -> f32>(
    w: &[W],
    first: usize,
    blocks: usize,
    x: &[X],
    out: &mut Outputs<'_>,
    unpack: impl Fn(&W) -> P,
) {
    let tokens = x.len() / blocks;
    debug_assert!(tokens <= MAX_BATCH);
    for (r, row) in w.chunks_exact(blocks).enumerate() {
        let mut sums = [0.0f32; MAX_BATCH];
        let sums = &mut sums[..tokens];
        for (b, w) in row.iter().enumerate() {
            let product = unpack(w);
            for (sum, x) in sums.iter_mut().zip(x.chunks_exact(blocks)) {
                *sum += product(&x[b]);
            }
        }
        for (t, sum) in sums.iter().enumerate() {
            out.token(t)[first + r] = *sum;
        }
    }
}

/// Exact Σ a\[i\] · b\[i\] over at most 256 elements: at most 256 · 128 · 128, well within an i32.
#[must_use]
pub fn dot_i8<const N: usize>(a: &[i8; N], b: &[i8; N]) -> i32 {
    a.iter().zip(b).fold(0, |sum: i32, (&a, &b)| {
        sum.wrapping_add(i32::from(i16::from(a).wrapping_mul(i16::from(b))))
    })
}
