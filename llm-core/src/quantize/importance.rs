//! How much the columns of a matrix matter, which weighs the errors of its quantised values.

/// Importance of the columns of some values.
#[derive(Clone, Copy, Debug)]
pub struct Importance<'i> {
    /// For each column, the mean square of what it is multiplied by.
    of: &'i [f32],
    /// Mean square of all values in the row.
    pub(super) row: f32,
}

impl<'i> Importance<'i> {
    /// The importance of all columns of a row with this mean square.
    pub(super) const fn new(of: &'i [f32], row: f32) -> Self {
        Self { of, row }
    }

    /// The importance of some of the columns.
    pub(super) fn part(self, first: usize, count: usize) -> Self {
        let of = self.of.get(first..first + count).unwrap_or(&[]);
        Self { of, ..self }
    }

    /// The plain importance of the columns.
    pub(super) fn plain(self) -> &'i [f32] {
        self.of
    }

    /// Weight of errors in `x`. Large values weigh more, relative to `square`, the mean square of their surroundings.
    pub(super) fn of<const N: usize>(self, x: &[f32; N], square: f32) -> [f32; N] {
        core::array::from_fn(|i| {
            let of = self.of.get(i).copied().unwrap_or(0.0);
            of * libm::sqrtf(square + x[i] * x[i])
        })
    }
}
