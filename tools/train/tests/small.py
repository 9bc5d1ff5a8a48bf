"""A network and a run that take a second."""

from trainlib import config

VOCAB = 320

SMALL = config.Config(
    config.ModelConfig(name="small", vocab=VOCAB, context=32, dim=32, layers=2, heads=4, kv_heads=2, head_dim=8, ffn=64),
    config.TrainConfig(seed=3, steps=12, batch=4, warmup=2, decay=0.5, muon_lr=0.02, adam_lr=0.01, eval_every=100, bf16=False),
)
