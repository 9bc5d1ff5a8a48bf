"""The synthetic models of make_parity.py: what each family and format is tried with."""

import gguf
import llama_cpp

F32 = gguf.GGMLQuantizationType.F32
F16 = gguf.GGMLQuantizationType.F16
BF16 = gguf.GGMLQuantizationType.BF16

QUANTISED = {
    "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q4_1": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_1,
    "q5_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_0,
    "q5_1": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_1,
    "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "q2_k": llama_cpp.LLAMA_FTYPE_MOSTLY_Q2_K,
    "q3_k": llama_cpp.LLAMA_FTYPE_MOSTLY_Q3_K_S,
    "q4_k": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_S,
    "q5_k": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_K_S,
    "q6_k": llama_cpp.LLAMA_FTYPE_MOSTLY_Q6_K,
}

# What a shape leaves out: head is width / heads, type is F32, vocabulary is "spm" ("spm-least" has
# hardly more than the byte tokens and letters), output is False: the embedding is the output matrix.
SMALL = dict(width=64, layers=2, heads=4, kv=2, ffn=128)
WIDE = dict(width=256, layers=1, heads=4, kv=2, ffn=256, vocabulary="spm-least")
MODELS = {
    "llama-f32-mha": dict(
        seed=1, arch="llama", width=64, layers=2, heads=4, kv=4, ffn=160,
        vocabulary="spm-least", tolerance=1e-3,
    ),
    "llama-f32-gqa": dict(
        seed=2, arch="llama", width=64, layers=2, heads=4, kv=2, ffn=96, output=True,
        rope_linear=2.0, vocabulary="spm-least", tolerance=1e-3,
    ),
    "llama-f16-head128": dict(
        seed=3, arch="llama", width=128, layers=1, heads=2, kv=1, head=128, ffn=128, type=F16,
        vocabulary="spm-least", tolerance=3e-3,
    ),
    "llama-bf16": dict(
        seed=4, arch="llama", width=64, layers=2, heads=2, kv=1, ffn=128, type=BF16,
        tolerance=1e-2,
    ),
    "llama-f32-bias": dict(
        seed=5, arch="llama", width=64, layers=1, heads=4, kv=4, ffn=64, vocabulary="gpt-2",
        add_bos=True, bias=["attn_q", "attn_k", "attn_v", "attn_output"], tolerance=1e-3,
    ),
    "gpt2-f32": dict(
        seed=6, arch="gpt2", width=48, layers=2, heads=3, kv=3, ffn=192, vocabulary="gpt-2",
        tolerance=3e-4,
    ),
    "gpt2-head64-q8_0": dict(
        seed=7, arch="gpt2", width=128, layers=1, heads=2, kv=2, ffn=512, vocabulary="gpt-2",
        output=True, quantise="q8_0",
    ),
    "gpt2-q4_k": dict(
        seed=8, arch="gpt2", width=256, layers=1, heads=4, kv=4, ffn=256, vocabulary="gpt-2",
        quantise="q4_k",
    ),
    "qwen2-f32": dict(
        seed=9, arch="qwen2", width=64, layers=2, heads=4, kv=2, ffn=64, vocabulary="qwen2",
        add_bos=False, bias=["attn_q", "attn_k", "attn_v"], rope_base=1e6, epsilon=1e-6,
        tolerance=1e-3,
    ),
    # One F32 model for the five of a line.
    **{
        f"llama-{name}": dict(seed=10, arch="llama", **SMALL, quantise=name)
        for name in ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"]
    },
    **{
        f"llama-{name}": dict(seed=11, arch="llama", **WIDE, quantise=name)
        for name in ["q2_k", "q3_k", "q4_k", "q5_k", "q6_k"]
    },
}

# How a family's blocks are built, where not as llama's.
FAMILIES = {
    "llama": {},
    "qwen2": {},
    "qwen3": dict(heads="head"),
    "gemma2": dict(after=True),
    "gemma3": dict(after=True, heads="head"),
    "gpt2": dict(norm="layer", gate=None, fused=True, bias="all"),
    "gptneox": dict(norm="layer", gate=None, fused=True, bias="all"),
    "phi3": dict(gate="in up", fused=True),
    "olmo2": dict(before=False, after=True, heads="whole"),
    "smollm3": {},
    "granite": {},
    "stablelm": dict(norm="layer"),
}

# A width of 32 keeps these small; windows and original contexts are well inside the 32 positions of the prompt.
TINY = dict(width=32, heads=4, kv=2, head=16, ffn=64, vocabulary="spm-least", type=F32)
YARN = dict(
    rope_scaling_type=gguf.RopeScalingType.YARN,
    rope_scaling_factor=4.0,
    rope_scaling_orig_ctx_len=32,
)
MODELS |= {
    "qwen3-f32": dict(seed=20, arch="qwen3", layers=2, rope_base=1e6, **TINY, tolerance=1e-4),
    "gemma2-f32": dict(
        seed=21, arch="gemma2", layers=2, **TINY, tolerance=1e-3,
        keys=dict(sliding_window=8, attn_logit_softcapping=1.5, final_logit_softcapping=9.0),
    ),
    "gemma3-f32": dict(
        seed=22, arch="gemma3", layers=7, rope_base=1e6, **TINY, tolerance=1e-3,
        keys=dict(
            sliding_window=8,
            rope_scaling_type=gguf.RopeScalingType.LINEAR,
            rope_scaling_factor=8.0,
        ),
    ),
    "gptneox-f32": dict(
        seed=23, arch="gptneox", layers=2, **TINY | dict(kv=4, head=8), output=True, tolerance=1e-3,
        keys=dict(parallel_residual=True, rope_dimension_count=4),
    ),
    "gptneox-f32-sequential": dict(
        seed=24, arch="gptneox", layers=1, **TINY | dict(kv=4, head=8), output=True, tolerance=1e-3,
        keys=dict(parallel_residual=False, rope_dimension_count=8),
    ),
    "phi3-f32": dict(
        seed=25, arch="phi3", layers=2, **TINY | dict(kv=4, head=8), tolerance=1e-4,
        keys=dict(sliding_window=8),
    ),
    "phi3-f32-short": dict(
        seed=26, arch="phi3", layers=1, **TINY | dict(kv=4, head=8), factors=["short", "long"],
        tolerance=1e-4, keys=dict(
            rope_scaling_type=gguf.RopeScalingType.LONGROPE,
            rope_scaling_orig_ctx_len=512,
            rope_scaling_attn_factors=1.19,
        ),
    ),
    "phi3-f32-long": dict(
        seed=27, arch="phi3", layers=1, **TINY | dict(kv=4, head=8), factors=["short", "long"],
        tolerance=1e-4, keys=dict(
            rope_scaling_type=gguf.RopeScalingType.LONGROPE,
            rope_scaling_orig_ctx_len=16,
            rope_scaling_attn_factors=1.19,
        ),
    ),
    "olmo2-f32": dict(
        seed=28, arch="olmo2", layers=2, **TINY | dict(head=8), output=True, tolerance=1e-4,
    ),
    "olmo2-f32-window": dict(
        seed=29, arch="olmo2", layers=4, **TINY | dict(head=8), output=True, tolerance=1e-4,
        keys=dict(sliding_window=8, **YARN),
    ),
    "smollm3-f32": dict(seed=30, arch="smollm3", layers=5, **TINY, tolerance=1e-4),
    "granite-f32": dict(
        seed=31, arch="granite", layers=2, **TINY, bias=["attn_output"], tolerance=1e-4,
        keys=dict(
            logit_scale=0.7, residual_scale=0.4, embedding_scale=6.0, attention_scale=0.125
        ),
    ),
    "stablelm-f32": dict(
        seed=32, arch="stablelm", layers=2, **TINY | dict(head=8), output=True, tolerance=1e-4,
        bias=["attn_q", "attn_k", "attn_v"], keys=dict(
            parallel_residual=True, rope_dimension_count=2
        ),
    ),
    "stablelm-f32-shared": dict(
        seed=33, arch="stablelm", layers=2, **TINY | dict(head=8), output=True, tolerance=1e-4,
        heads_norm="each", shared=True, keys=dict(rope_dimension_count=2),
    ),
    "llama-f32-yarn": dict(
        seed=34, arch="llama", layers=2, **TINY, tolerance=1e-4,
        keys=YARN | dict(rope_scaling_attn_factors=0.9),
    ),
    "llama-f32-freqs": dict(
        seed=35, arch="llama", layers=2, **TINY, factors=["freqs"], tolerance=1e-4
    ),
    "llama-f32-long": dict(
        seed=36, arch="llama", layers=1, **TINY, factors=["short", "long"], tolerance=1e-4,
        keys=dict(
            rope_scaling_type=gguf.RopeScalingType.LONGROPE,
            rope_scaling_orig_ctx_len=16,
            rope_scaling_factor=2.0,
        ),
    ),
}
