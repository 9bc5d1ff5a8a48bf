"""The `llama` transformer, in the one shape that both GGUF and `llm-core` call `llama`.

For a batch of B token rows of length T, width D, H query heads and G key/value heads of size d:

    x  = E[tokens]                                        (B, T, D)
    x += Wo · attention(rope(Wq n(x)), rope(Wk n(x)), Wv n(x))      H heads share G keys and values
    x += Wdown · (silu(Wgate n(x)) * Wup n(x))            F inner channels
    logits = E · n(x)                                     tied embeddings: E again

While training, dropout (Srivastava et al. 2014) acts on the embedded tokens and on what a branch adds to x.

n is RMSNorm with a learned gain (Zhang and Sennrich 2019), rope rotates the *neighbouring* pairs
(2i, 2i+1) by position · base^(-2i/d) (Su et al. 2021). GGUF's `llama` stores exactly this pairing, so
that weights go to the file as they are; the half-split pairing of other code bases would need the rows
of Wq and Wk permuted first.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .config import ModelConfig
from .data import Batch


class Rope(nn.Module):
    """The rotation of each pair at every position of the context, as unit complex numbers: (context, d/2)."""

    def __init__(self, context: int, head_dim: int, base: float):
        super().__init__()
        frequency = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
        angle = torch.outer(torch.arange(context, dtype=torch.float64), frequency)
        self.register_buffer("turn", torch.polar(torch.ones_like(angle), angle).to(torch.complex64), persistent=False)

    def forward(self, x, places=None):
        """Rotates x (B, heads, T, d), whose rows stand at positions 0..T, or at `places` (B, T)."""
        pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
        turn = self.turn[: x.shape[-2]] if places is None else self.turn[places][:, None]
        return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


def attend(q, k, v, mask):
    """Causal attention. q, k, v (B, heads, T, d), mask (T, T) with -inf above the diagonal, to (B, heads, T, d).

    Written out, for on a CPU it takes half the time of PyTorch's fused kernel, forward and backward together; and the
    mask is added inside the product, which saves two passes over the scores.
    """
    heads = q.shape[:2]
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    scores = torch.baddbmm(mask.to(q.dtype), q, k.transpose(-1, -2), alpha=q.shape[-1] ** -0.5)
    return (scores.softmax(-1).to(v.dtype) @ v).unflatten(0, heads)


class Attention(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = c.heads, c.kv_heads, c.head_dim
        self.q = nn.Linear(c.dim, c.heads * c.head_dim, bias=False)
        self.k = nn.Linear(c.dim, c.kv_heads * c.head_dim, bias=False)
        self.v = nn.Linear(c.dim, c.kv_heads * c.head_dim, bias=False)
        self.output = nn.Linear(c.heads * c.head_dim, c.dim, bias=False)

    def queries(self, x, rope, places=None):
        return rope(self.q(x).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2), places)

    def keys_values(self, x, rope, places=None):
        k = rope(self.k(x).unflatten(-1, (self.kv_heads, self.head_dim)).transpose(1, 2), places)
        v = self.v(x).unflatten(-1, (self.kv_heads, self.head_dim)).transpose(1, 2)
        # Query heads g*H/G .. (g+1)*H/G use key/value head g, as in GGUF.
        share = self.heads // self.kv_heads
        return k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1)

    def forward(self, x, rope, mask):
        k, v = self.keys_values(x, rope)
        return self.output(attend(self.queries(x, rope), k, v, mask).transpose(1, 2).flatten(-2))


def attend_behind(q, k, v, before_k, before_v, mask, before_mask):
    """Attention of E sequences behind each of B: q (B*E, heads, Q, d); k, v (B*E, heads, T, d) of themselves, with mask
    (B*E, 1, Q, T); before_k, before_v (B, heads, S, d) of what stands before all E, with mask (B, 1, 1, S)."""
    (own, heads, length, size), rows = q.shape, len(before_k)

    def together(x):
        """(B*E, heads, Q, n) as (B, heads, E*Q, n): those behind the same."""
        return x.unflatten(0, (rows, -1)).transpose(1, 2).flatten(2, 3)

    def apart(x):
        return x.unflatten(2, (own // rows, length)).transpose(1, 2).flatten(0, 1)

    q = q * size**-0.5
    near = q @ k.transpose(-1, -2) + mask
    far = together(q) @ before_k.transpose(-1, -2) + before_mask
    far, near = torch.cat([far, together(near)], -1).softmax(-1).split([far.shape[-1], near.shape[-1]], -1)
    return apart(far @ before_v) + apart(near) @ v


class FeedForward(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.gate = nn.Linear(c.dim, c.ffn, bias=False)
        self.up = nn.Linear(c.dim, c.ffn, bias=False)
        self.down = nn.Linear(c.ffn, c.dim, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


def matmul_type(x):
    """x in the type that autocast would give it, once for all the products that it enters."""
    return x.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else x


class Block(nn.Module):
    def __init__(self, c: ModelConfig, dropout: float):
        super().__init__()
        self.attn_norm = nn.RMSNorm(c.dim, eps=c.norm_eps)
        self.attn = Attention(c)
        self.ffn_norm = nn.RMSNorm(c.dim, eps=c.norm_eps)
        self.ffn = FeedForward(c)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, rope, mask):
        return self.feed(x + self.dropout(self.attn(matmul_type(self.attn_norm(x)), rope, mask)))

    def feed(self, x):
        return x + self.dropout(self.ffn(matmul_type(self.ffn_norm(x))))


class Llama(nn.Module):
    def __init__(self, c: ModelConfig, dropout: float = 0.0):
        super().__init__()
        self.config = c
        self.token_embd = nn.Embedding(c.vocab, c.dim)
        self.dropout = nn.Dropout(dropout)
        self.rope = Rope(c.context, c.head_dim, c.rope_base)
        self.blocks = nn.ModuleList(Block(c, dropout) for _ in range(c.layers))
        self.output_norm = nn.RMSNorm(c.dim, eps=c.norm_eps)
        self.initialise()

    def initialise(self):
        """Gaussian weights; both ends of a residual branch start at zero, so that a block starts as the identity."""
        nn.init.normal_(self.token_embd.weight, std=0.02)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2 and name != "token_embd.weight":
                if name.endswith(("attn.output.weight", "ffn.down.weight")):
                    nn.init.zeros_(parameter)
                else:
                    nn.init.normal_(parameter, std=0.5 / math.sqrt(parameter.shape[1]))

    def forward(self, tokens):
        """Logits (B, T, vocab) of the token that follows each position of tokens (B, T)."""
        length = tokens.shape[-1]
        mask = matmul_type(torch.full((length, length), -torch.inf).triu(1))
        x = self.dropout(self.token_embd(tokens))
        for block in self.blocks:
            x = block(x, self.rope, mask)
        return F.linear(self.output_norm(x), self.token_embd.weight)

    def loss(self, tokens, targets):
        """Cross entropy in nats per token."""
        return F.cross_entropy(self(tokens).flatten(0, 1).float(), targets.flatten())

    def answer_logits(self, batch: Batch):
        """Logits (B, E, 2, vocab) where the answers of a batch stand: what `forward` gives for each question behind its system
        text, without computing that once more for each question.

        In the last block, of the system text only keys and values are needed, and of the questions only where answers stand.
        """
        rows, each, length = batch.questions.shape
        system_length = batch.system.shape[1]
        x, y = self.token_embd(batch.system), self.token_embd(batch.questions.flatten(0, 1))
        x, y = self.dropout(x), self.dropout(y)
        mask = matmul_type(torch.full((system_length, system_length), -torch.inf).triu(1))
        is_filled = torch.arange(system_length)[None] >= batch.system_length[:, None]
        before_mask = torch.zeros(is_filled.shape).masked_fill(is_filled, -torch.inf)[:, None, None]
        places = (batch.system_length[:, None, None] + torch.arange(length)).expand(rows, each, length).flatten(0, 1)
        own_mask = torch.full((length, length), -torch.inf).triu(1)[None, None]
        wanted = batch.answers.flatten(0, 1)
        for block in self.blocks:
            is_last = block is self.blocks[-1]
            system, question = block.attn_norm(x), block.attn_norm(y)
            before = block.attn.keys_values(system, self.rope)
            keys, values = block.attn.keys_values(question, self.rope, places)
            if is_last:
                y, question = (rows.take_along_dim(wanted[..., None], 1) for rows in (y, question))
                places, own_mask = places.take_along_dim(wanted, 1), own_mask[0, 0][wanted][:, None]
            queries = block.attn.queries(question, self.rope, places)
            found = attend_behind(queries, keys, values, *before, own_mask, before_mask)
            y = block.feed(y + self.dropout(block.attn.output(found.transpose(1, 2).flatten(-2))))
            if not is_last:
                found = attend(block.attn.queries(system, self.rope), *before, mask)
                x = block.feed(x + self.dropout(block.attn.output(found.transpose(1, 2).flatten(-2))))
        return F.linear(self.output_norm(y), self.token_embd.weight).unflatten(0, (rows, each))

    def answer_loss(self, batch: Batch):
        """Cross entropy of the answers and of what ends them, in nats per token."""
        return F.cross_entropy(self.answer_logits(batch).flatten(0, 2).float(), batch.targets.flatten())

    def matrices(self) -> list[nn.Parameter]:
        """The matrices inside the blocks, in the order of the blocks."""
        return [p for p in self.blocks.parameters() if p.ndim == 2]

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())
