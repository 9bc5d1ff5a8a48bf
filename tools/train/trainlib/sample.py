"""Text from a checkpoint: the simplest sampler that works, for looking at a model while it trains."""

import torch

from .tokenizer import BOS, EOS


@torch.no_grad()
def sample(model, processor, prompt: str, max_tokens: int, temperature: float, top_k: int, seed: int) -> str:
    """Prompt and continuation. Temperature 0 is greedy. The whole prefix is computed anew for each token."""
    random = torch.Generator().manual_seed(seed)
    tokens = [BOS, *processor.encode(prompt)]
    for _ in range(max_tokens):
        logits = model(torch.tensor([tokens[-model.config.context :]]))[0, -1]
        if temperature == 0:
            token = int(logits.argmax())
        else:
            best, ids = (logits / temperature).topk(min(top_k, len(logits)))
            token = int(ids[torch.multinomial(best.softmax(0), 1, generator=random)])
        if token == EOS:
            break
        tokens.append(token)
    return processor.decode(tokens[1:])
