//! The keys and values of a block: written position by position, read head by head.

use super::shape::{BLOCK_POSITIONS, KvShape, KvType, SCALED, SCALES};
use crate::arena::{Plain, as_mut};
use crate::quantize::{NonFinite, ZERO_BLOCK, max_magnitude, round_to_i8};
use half::f16;
use zerocopy::FromBytes;

/// One layer of one session in the cache, for reading.
#[derive(Clone, Copy)]
pub(crate) struct CachedLayer<'a> {
    pub(crate) shape: &'a KvShape,
    pub(crate) pool: &'a [u8],
    /// The session's table; see [`KvCache::spans`].
    pub(crate) table: &'a [u16],
    pub(crate) layer: usize,
}

impl<'a> CachedLayer<'a> {
    /// The keys and values of one key head.
    #[inline(always)]
    pub(crate) fn head(&self, head: usize) -> CachedHead<'a> {
        let plane = 2 * (self.layer * self.shape.kv_heads + head);
        let bytes = self.shape.part_bytes();
        let planes = &self.pool[plane * self.shape.blocks() * bytes..];
        let (keys, values) = planes.split_at(self.shape.blocks() * bytes);
        CachedHead {
            keys,
            values,
            table: &self.table[1..],
            bytes,
        }
    }
}

/// The keys and values of one head.
#[derive(Clone, Copy)]
pub(crate) struct CachedHead<'a> {
    keys: &'a [u8],
    values: &'a [u8],
    table: &'a [u16],
    bytes: usize,
}

impl<'a> CachedHead<'a> {
    /// Keys in the session's block `index`.
    #[inline(always)]
    pub(crate) fn keys(&self, index: usize) -> &'a [u8] {
        let start = usize::from(self.table[index]) * self.bytes;
        &self.keys[start..start + self.bytes]
    }

    /// Values in the session's block `index`.
    #[inline(always)]
    pub(crate) fn values(&self, index: usize) -> &'a [u8] {
        let start = usize::from(self.table[index]) * self.bytes;
        &self.values[start..start + self.bytes]
    }
}

/// Stores the keys and values of one position in one layer, or of some of its heads; `planes` begins with the first of
/// them ([`KvShape::planes`]).
///
/// # Errors
/// A value is not finite, or does not fit f16.
#[inline(always)]
pub(crate) fn store(
    shape: &KvShape,
    planes: &mut [u8],
    table: &[u16],
    position: usize,
    [key, value]: [&[f32]; 2],
) -> Result<(), NonFinite> {
    let (index, slot) = (position / BLOCK_POSITIONS, position % BLOCK_POSITIONS);
    let heads = key
        .chunks_exact(shape.head_size)
        .zip(value.chunks_exact(shape.head_size));
    for (head, (key, value)) in heads.enumerate() {
        let (bytes, blocks) = (shape.part_bytes(), shape.blocks());
        let part = (2 * head * blocks + usize::from(table[1 + index])) * bytes;
        let (keys, values) = planes[part..].split_at_mut(blocks * bytes);
        let (keys, values) = (&mut keys[..bytes], &mut values[..bytes]);
        match shape.ty {
            KvType::F32 => {
                store_rows(keys, slot, key, |x| x)?;
                store_rows(values, slot, value, |x| x)?;
            }
            KvType::F16 => {
                store_rows(keys, slot, key, f16::from_f32)?;
                store_rows(values, slot, value, f16::from_f32)?;
            }
            KvType::Q8 => {
                quantize_head(key, keys, slot, |i| {
                    (i / 4 * BLOCK_POSITIONS + slot) * 4 + i % 4
                })?;
                quantize_head(value, values, slot, |i| value_place(slot, i))?;
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn store_rows<T: Plain + Into<f32>>(
    part: &mut [u8],
    slot: usize,
    from: &[f32],
    narrow: impl Fn(f32) -> T,
) -> Result<(), NonFinite> {
    max_magnitude(from)?;
    let bytes = size_of_val(from) / size_of::<f32>() * size_of::<T>();
    let row = as_mut::<T>(&mut part[slot * bytes..(slot + 1) * bytes]);
    for (to, from) in row.iter_mut().zip(from) {
        *to = narrow(*from);
        if !(*to).into().is_finite() {
            return Err(NonFinite);
        }
    }
    Ok(())
}

/// q = round(x · 127 / max |x|), scale max |x| / 127, per [`SCALED`] elements; nearly zero groups become zero.
#[inline(always)]
fn quantize_head(
    x: &[f32],
    part: &mut [u8],
    slot: usize,
    place: impl Fn(usize) -> usize,
) -> Result<(), NonFinite> {
    let (scales, codes) = part.split_at_mut(x.len().div_ceil(SCALED) * SCALES);
    let groups = x.chunks(SCALED).zip(scales.chunks_exact_mut(SCALES));
    for (group, (x, scales)) in groups.enumerate() {
        let max = max_magnitude(x)?;
        let (scale, inverse) = match max < ZERO_BLOCK {
            true => (0.0, 0.0),
            false => (max / 127.0, 127.0 / max),
        };
        scales[slot * 4..slot * 4 + 4].copy_from_slice(&scale.to_ne_bytes());
        for (i, x) in x.iter().enumerate() {
            codes[place(group * SCALED + i)] = round_to_i8(x * inverse) as u8;
        }
    }
    Ok(())
}

/// Offset of element `i` of a position's values, after the scales.
#[inline(always)]
pub(crate) const fn value_place(slot: usize, i: usize) -> usize {
    ((i / 16 * 4 + slot / 4) * 16 + i % 16) * 4 + slot % 4
}

/// Splits 8-bit keys or values into their scales, sixteen per [`SCALED`] elements of a head, and the rest.
#[inline(always)]
pub(crate) fn scales(part: &[u8], head_size: usize) -> (&[[f32; BLOCK_POSITIONS]], &[u8]) {
    let (scales, rest) = part.split_at(head_size.div_ceil(SCALED) * SCALES);
    let scales = <[[f32; BLOCK_POSITIONS]]>::ref_from_bytes(scales);
    (scales.expect("parts of a block are aligned"), rest)
}
