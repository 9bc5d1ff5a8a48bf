"""A checkpoint and a vocabulary to one GGUF file: architecture `llama`, all tensors F32, tied output."""

from pathlib import Path

import gguf
import numpy as np

from . import chat
from .model import Llama
from .tokenizer import BOS, EOS, UNK

BLOCK_TENSORS = {
    "attn_norm": "attn_norm",
    "attn_q": "attn.q",
    "attn_k": "attn.k",
    "attn_v": "attn.v",
    "attn_output": "attn.output",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "ffn.gate",
    "ffn_up": "ffn.up",
    "ffn_down": "ffn.down",
}


def vocabulary(processor):
    """Pieces, scores and types, one of each per id, as llama.cpp's converter writes them."""
    kinds = (
        (processor.is_unknown, gguf.TokenType.UNKNOWN),
        (processor.is_control, gguf.TokenType.CONTROL),
        (processor.is_byte, gguf.TokenType.BYTE),
    )
    pieces, scores, types = [], [], []
    for token in range(processor.vocab_size()):
        pieces.append(processor.id_to_piece(token).encode())
        scores.append(processor.get_score(token))
        types.append(next((kind for is_kind, kind in kinds if is_kind(token)), gguf.TokenType.NORMAL))
    return pieces, scores, types


def write(model: Llama, processor, path: Path, description: str):
    c = model.config
    new = path.with_suffix(".new")
    out = gguf.GGUFWriter(str(new), "llama")
    out.add_type(gguf.GGUFType.MODEL)
    out.add_name(c.name)
    out.add_description(description)
    out.add_license("MIT OR Apache-2.0")
    out.add_languages(["en"])
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_vocab_size(c.vocab)
    out.add_context_length(c.context)
    out.add_embedding_length(c.dim)
    out.add_block_count(c.layers)
    out.add_feed_forward_length(c.ffn)
    out.add_head_count(c.heads)
    out.add_head_count_kv(c.kv_heads)
    out.add_key_length(c.head_dim)
    out.add_value_length(c.head_dim)
    out.add_layer_norm_rms_eps(c.norm_eps)
    out.add_rope_dimension_count(c.head_dim)
    out.add_rope_freq_base(c.rope_base)
    out.add_tokenizer_model("llama")
    out.add_tokenizer_pre("default")
    pieces, scores, types = vocabulary(processor)
    out.add_token_list(pieces)
    out.add_token_scores(scores)
    out.add_token_types(types)
    out.add_bos_token_id(BOS)
    # Of a model for conversations, an answer's end is the end of text.
    end = processor.piece_to_id(chat.END)
    if end == UNK:
        out.add_eos_token_id(EOS)
    else:
        out.add_eos_token_id(end)
        out.add_chat_template(chat.TEMPLATE)
    out.add_unk_token_id(UNK)
    out.add_add_bos_token(True)
    out.add_add_eos_token(False)
    out.add_add_space_prefix(True)

    weights = model.state_dict()

    def add(name, key):
        out.add_tensor(f"{name}.weight", weights[f"{key}.weight"].float().numpy().astype(np.float32))

    add("token_embd", "token_embd")
    for layer in range(c.layers):
        for name, key in BLOCK_TENSORS.items():
            add(f"blk.{layer}.{name}", f"blocks.{layer}.{key}")
    add("output_norm", "output_norm")
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    new.replace(path)
