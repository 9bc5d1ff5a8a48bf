//! Sums over one vector, and its largest element, by lanes.

/// Virtual lanes of a reduction.
pub const LANES: usize = 16;

/// Σ f(a\[i\], b\[i\]), in the canonical order. Whole groups of lanes come first, so that a compiler can keep them in
/// vectors.
#[inline(always)]
pub(crate) fn sum_of<A: Copy, B: Copy>(a: &[A], b: &[B], f: impl Fn(A, B) -> f32) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    let mut lanes = [0.0f32; LANES];
    let (a, a_tail) = a.as_chunks::<LANES>();
    let (b, b_tail) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += f(*a, *b);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a_tail.iter().zip(b_tail)) {
        *lane += f(*a, *b);
    }
    fold(lanes)
}

/// The sum of the lanes, folded by 8, 4, 2, 1.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

/// Σ x\[i\], in the canonical order.
#[must_use]
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    sum_of(x, x, |x, _| x)
}

/// Σ a\[i\] · b\[i\], in the canonical order.
#[must_use]
#[inline(always)]
pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    sum_of(a, b, |a, b| a * b)
}

/// The largest value, in any order: by lanes, so that a compiler can keep them in vectors.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (x, tail) = x.as_chunks::<LANES>();
    for x in x {
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = larger(*lane, *x);
        }
    }
    let lanes = lanes.iter().chain(tail);
    lanes.fold(f32::NEG_INFINITY, |max, x| larger(max, *x))
}
