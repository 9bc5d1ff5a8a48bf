//! Matrix products, each followed by its adapter's part.

use super::Pass;
use crate::arena::{Frozen, Span, as_mut};
use crate::quantize::{self, NonFinite};
use crate::simd::Cpu;
use crate::simd::tiles::TILE;
use crate::team::{Job, Multiply, Prepare, Product, Products, Team};
use crate::transformer::adapter::{Adapter, Delta, MAX_RANK, Site};
use crate::transformer::steps::{Stepwise, Stop};
use crate::transformer::weights::{Linear, Matrix};

impl<T: Team> Pass<'_, T> {
    /// to = W · from + b for each token of the batch, plus what its adapter adds. `from` and `to` may be longer.
    /// Several matrices share the same activations, which are prepared once for all that need the same form.
    pub(super) fn multiply_all<const N: usize>(
        &mut self,
        from: Span<f32>,
        products: [(&Linear, Span<f32>, Site); N],
    ) -> Result<(), Stop> {
        let tokens = self.tokens.len();
        let mut left = &products[..];
        while let [(first, ..), ..] = left {
            let Matrix { ty, columns, .. } = first.matrix;
            let same = |(linear, ..): &&(&Linear, Span<f32>, Site)| {
                linear.matrix.ty.activations() == ty.activations()
            };
            let (now, later) = left.split_at(left.iter().take_while(same).count());
            left = later;
            let from = from.part(0, tokens * columns);
            self.once(|pass| pass.prepare(from, ty))?;
            let jobs: Products = now
                .iter()
                .map(|(linear, to, _)| product(linear, *to, tokens))
                .collect();
            let tiles = jobs.iter().map(Product::tiles).sum();
            // Rows can be split between two tiles.
            let work = (TILE * tokens * columns) as u64;
            self.in_parts(tiles, work, |pass, tiles| {
                #[cfg(feature = "observe")]
                pass.observe(now, &tiles, from);
                let work = work * tiles.len() as u64;
                let job = Multiply {
                    tokens,
                    columns,
                    from,
                    quantised: pass.model.buffers.quantised,
                    products: jobs.clone(),
                    tiles,
                };
                pass.run(&Job::Multiply(job), work)
            })?;
        }
        self.adapt(from, products)
    }

    /// Shows the observer what matrices are multiplied by, once for each, however its rows are split.
    #[cfg(feature = "observe")]
    pub(super) fn observe(
        &mut self,
        products: &[(&Linear, Span<f32>, Site)],
        tiles: &core::ops::Range<usize>,
        from: Span<f32>,
    ) {
        let mut first = 0;
        for (linear, ..) in products {
            if let (Some(observer), Some(tensor), true) = (
                &mut self.observer,
                linear.matrix.tensor,
                tiles.contains(&first),
            ) {
                observer(tensor, self.arena.working().get_mut(from));
            }
            first += linear.matrix.rows.div_ceil(TILE);
        }
    }

    /// to += Bᵀ (A · from · α / r) for each token with an adapter. Each token is a separate part, so its bits do not
    /// depend on the rest of the batch; a token without an adapter costs nothing.
    fn adapt<const N: usize>(
        &mut self,
        from: Span<f32>,
        products: [(&Linear, Span<f32>, Site); N],
    ) -> Result<(), Stop> {
        let model = self.model;
        for t in 0..self.adapters.len() {
            let Some(adapter) = self.adapters[t].and_then(|place| model.adapters.get(place)) else {
                continue;
            };
            let deltas = deltas(adapter, products, self.arena.split().0);
            match deltas.iter().flatten().map(|delta| delta.work).sum() {
                0 => {}
                work => self.in_parts(1, work, |pass, _| {
                    let (frozen, mut working) = pass.arena.split();
                    let mut inner = Inner::default();
                    let deltas = self::deltas(adapter, products, frozen);
                    for (delta, (linear, to, _)) in deltas.iter().zip(products) {
                        let Some(delta) = delta else { continue };
                        let (rows, columns) = (linear.matrix.rows, linear.matrix.columns);
                        let x = from.part(t * columns, columns);
                        let to = to.part(t * rows, rows);
                        let [x, to] = working.disjoint([x.range(), to.range()]);
                        inner.fill(model.cpu, delta, as_mut(x));
                        let inner = inner.of(delta);
                        model.cpu.adapter_half_up(delta.b, inner, as_mut(to));
                    }
                    Ok(())
                })?,
            }
        }
        Ok(())
    }

    /// Converts activations to the form that matrices of this type require.
    fn prepare(&mut self, from: Span<f32>, ty: quantize::TensorType) -> Result<(), NonFinite> {
        let job = Prepare {
            ty,
            from,
            quantised: self.model.buffers.quantised,
        };
        self.run_by_token(&Job::Prepare(job), from.len() / self.tokens.len())
    }
}

/// What an adapter adds to each of these products.
fn deltas<'f, const N: usize>(
    adapter: &Adapter,
    products: [(&Linear, Span<f32>, Site); N],
    frozen: Frozen<'f>,
) -> [Option<Delta<'f>>; N] {
    products.map(|(linear, _, site)| {
        let Matrix { rows, columns, .. } = linear.matrix;
        adapter.delta(site, rows, columns, frozen)
    })
}

/// A product with a matrix as a job has it.
fn product(linear: &Linear, to: Span<f32>, tokens: usize) -> Product {
    let Matrix {
        ty,
        rows,
        data,
        tiled,
        ..
    } = linear.matrix;
    Product {
        ty,
        rows,
        tiled,
        data,
        bias: linear.bias.unwrap_or_default(),
        to: to.part(0, tokens * rows),
    }
}

/// A · x · α / r of the previous matrix, which may be part of the same tensor and have the same A.
struct Inner<'a> {
    a: &'a [u8],
    values: [f32; MAX_RANK],
}

impl Default for Inner<'_> {
    fn default() -> Self {
        Self {
            a: &[],
            values: [0.0; MAX_RANK],
        }
    }
}

impl<'a> Inner<'a> {
    pub(super) fn fill(&mut self, cpu: Cpu, delta: &Delta<'a>, x: &[f32]) {
        // The same place means the same matrix and the same x, because only matrices multiplied by the same x come
        // together.
        let a = delta.a;
        if !core::ptr::eq(self.a, a.bytes) {
            let values = &mut self.values[..delta.rank];
            cpu.adapter_half_down(a, x, delta.scale, values);
            self.a = a.bytes;
        }
    }

    pub(super) fn of(&self, delta: &Delta<'a>) -> &[f32] {
        &self.values[..delta.rank]
    }
}
