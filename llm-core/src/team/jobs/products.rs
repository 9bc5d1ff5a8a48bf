//! Matrix products with the same activations.

use super::vectors::large;
use crate::arena::Span;
use crate::quantize::{
    ActivationQ8, ActivationQ8K, ActivationType, BLOCK, NonFinite, SUPER_BLOCK, TensorType,
};
use crate::simd::tiles::TILE;
use crate::simd::{Activations, Cpu, Matrix};
use crate::team::memory::Access;
use crate::team::words::record;
use core::ops::Range;
use zerocopy::FromBytes;

/// Matrices per job: queries, keys and values.
pub(crate) const MAX_PRODUCTS: usize = 3;

record! {
    /// to = W · x + b.
    Product {
        ty: TensorType,
        rows: usize,
        /// Whether W is in tiles.
        tiled: bool,
        /// W.
        data: Span<u8>,
        /// b; empty without one.
        bias: Span<f32>,
        /// \[tokens, rows\]
        to: Span<f32>,
    }
}

impl Product {
    /// Tiles of its rows, the last maybe not full.
    pub(crate) const fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }
}

record! {
    /// Products of several matrices with the same prepared activations.
    Multiply {
        tokens: usize,
        columns: usize,
        from: Span<f32>,
        quantised: Span<ActivationQ8>,
        /// Types with the same [`TensorType::activations`].
        products: Products,
        /// The tiles wanted, counted through all products.
        tiles: Range<usize>,
    }
}

/// The matrices of a job.
pub(crate) type Products = heapless::Vec<Product, MAX_PRODUCTS>;

impl Multiply {
    pub(super) fn run(&self, cpu: Cpu, mut access: Access<'_>) -> Result<(), NonFinite> {
        let Some(first) = self.products.first() else {
            return Ok(());
        };
        let elements = self.tokens * self.columns;
        let x = match first.ty.activations() {
            ActivationType::Float => Activations::Float(access.read(self.from)),
            ActivationType::Q8 => {
                Activations::Q8(access.read(self.quantised.part(0, elements / BLOCK)))
            }
            ActivationType::Q8K => {
                let bytes = access.read(large(self.quantised, elements / SUPER_BLOCK));
                Activations::Q8K(<[ActivationQ8K]>::ref_from_bytes(bytes).map_err(|_| NonFinite)?)
            }
        };
        let mut tile = 0;
        for product in &self.products {
            let (rows, mut to) = access.rows(product.to, product.rows, TILE, tile, &self.tiles);
            tile += product.tiles();
            if rows.is_empty() {
                continue;
            }
            let row = product.data.len() / product.rows;
            let w = Matrix {
                ty: product.ty,
                rows: rows.len(),
                columns: self.columns,
                tiled: product.tiled,
                bytes: access.read(product.data.part(rows.start * row, rows.len() * row)),
            };
            cpu.multiply(&w, x, &mut to);
            if !product.bias.is_empty() {
                let bias = access.read(product.bias.part(rows.start, rows.len()));
                for t in 0..to.tokens() {
                    cpu.add(to.token(t), bias);
                }
            }
        }
        Ok(())
    }
}
