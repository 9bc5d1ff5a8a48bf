//! Attention of one token, for each type of keys and values.

use super::Case;
use crate::bits::Bits;
use crate::generator::Generator;
use llm_core::kv_cache::{KvShape, KvType};
use llm_core::simd::Cpu;
use llm_core::testing::kernels::{self, Attending};

/// Cases of attention.
pub const CASES: &[Case] = &[
    Case::on("attention_f32", |c, b| attention(c, KvType::F32, ALL, b)),
    Case::on("attention_f16", |c, b| attention(c, KvType::F16, ALL, b)),
    Case::on("attention_q8", |c, b| attention(c, KvType::Q8, ALL, b)),
    Case::on("attention_window_f32", |c, b| {
        attention(c, KvType::F32, WINDOW, b)
    }),
    Case::on("attention_window_f16", |c, b| {
        attention(c, KvType::F16, WINDOW, b)
    }),
    Case::on("attention_window_q8", |c, b| {
        attention(c, KvType::Q8, WINDOW, b)
    }),
];

/// Positions of the window, and the cap on scores.
type Seen = (usize, Option<f32>);

const ALL: Seen = (usize::MAX, None);

/// The window begins inside a cache block.
const WINDOW: Seen = (11, Some(1.5));

/// Covers heads in groups of one to four, sizes that are multiples of the lanes and one that is not, and numbers of
/// positions within one cache block of sixteen and beyond it. Elements include the ends of their range. With the small
/// range many positions contribute, with the large one hardly more than one.
fn attention(cpu: Cpu, ty: KvType, (window, cap): Seen, bits: &mut Bits) {
    let mut generator = Generator::new(600);
    for (kv_heads, group, head_size) in [(2, 1, 64), (1, 3, 32), (2, 4, 16), (1, 2, 128), (2, 3, 6)]
    {
        for (positions, range) in [(1, 1.0), (16, 1.0), (37, 1.0), (37, 8.0)] {
            let mut x = generator.floats(701, range);
            for x in x.iter_mut().step_by(13) {
                *x = if *x < 0.0 { -range } else { range };
            }
            let shape = KvShape {
                ty,
                layers: 2,
                kv_heads,
                head_size,
                context: 40,
                sessions: 2,
                positions: 80,
            };
            let attending = Attending {
                heads: kv_heads * group,
                positions,
                first: positions.saturating_sub(window),
                cap,
            };
            bits.floats(&kernels::attended(cpu, shape, attending, &x));
        }
    }
}
