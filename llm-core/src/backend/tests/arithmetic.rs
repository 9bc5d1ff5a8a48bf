//! The bits of the arithmetic, version by version.

use super::*;
use crate::NUMERICS_VERSION;
use crate::transformer::LoadOptions;

/// The exact bits that this arithmetic gives. A change needs a new [`NUMERICS_VERSION`].
#[test]
fn the_arithmetic_has_not_changed() {
    for cpu in Cpu::all() {
        check_arithmetic(cpu);
    }
}

fn check_arithmetic(cpu: Cpu) {
    let hash_of = |kv, shape| {
        with_backend(LoadOptions { kv, cpu, ..OPTIONS }, |backend| {
            backend.load(&model(shape).finish()).unwrap();
            let bits: Vec<u8> = logits(backend, &[1, 270, 261, 44, 260, 259, 280])
                .iter()
                .flatten()
                .flat_map(|logit| logit.to_bits().to_le_bytes())
                .collect();
            u64::from_be_bytes(*sha256(&bits).first_chunk().unwrap())
        })
    };
    let hash = |kv, ty| {
        let shape = Shape {
            ty,
            ..Shape::default()
        };
        hash_of(kv, shape)
    };
    // Heads of 128: two scales each in 8 bits.
    let wide_heads = Shape { heads: 2, ..WIDE };
    let found = [
        hash(KvType::F32, TensorType::F32),
        hash(KvType::F16, TensorType::F16),
        hash(KvType::F32, TensorType::Q8_0),
        hash(KvType::F16, TensorType::Q4_0),
        hash(KvType::Q8, TensorType::Q8_0),
        hash_of(KvType::Q8, wide_heads),
    ];
    let others = TensorType::ALL.map(|ty| {
        let file = model(Shape { ty, ..WIDE });
        with_backend(LoadOptions { cpu, ..OPTIONS }, |backend| {
            backend.load(&file.finish()).unwrap();
            let bits: Vec<u8> = logits(backend, &[1, 270, 261, 44, 260])
                .iter()
                .flatten()
                .flat_map(|logit| logit.to_bits().to_le_bytes())
                .collect();
            std::format!(
                "{:08x}",
                u32::from_be_bytes(*sha256(&bits).first_chunk().unwrap())
            )
        })
    });
    assert_eq!(
        others,
        [
            "1387775d", "2e73a0e0", "d0105d90", "e078b0ce", "36fa224f", "ac82a771", "21f87306",
            "bca41174", "bca41174", "2d06c52b", "245a513f", "1641b397", "7e8a0667", "e0416c28",
            "6d421046", "73785e9a", "9d27c6bc", "9d27c6bc",
        ]
    );
    assert_eq!(NUMERICS_VERSION, 2);
    assert_eq!(
        found.map(|hash| std::format!("{hash:016x}")),
        [
            "632cdd8776215bc6",
            "cbabf4c88849739d",
            "5c39e1db7ca1a283",
            "3593de8de21668fb",
            "acfa6fdaacc1c26b",
            "35eb3783897ca3e3",
        ]
    );
}
