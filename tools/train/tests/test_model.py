"""Claims about vocabulary, data, network, training and export, on a text and a network that take a second."""

import dataclasses
import json
import random

import pytest

from small import SMALL, VOCAB
from trainlib import corpus

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -r tools/train/requirements.txt")
sentencepiece = pytest.importorskip("sentencepiece", reason="pip install -r tools/train/requirements.txt")
gguf = pytest.importorskip("gguf", reason="pip install -r tools/train/requirements.txt")

from trainlib import data, evaluate, export, loop, parallel, tokenizer  # noqa: E402
from trainlib.model import Llama, Rope  # noqa: E402


def story(chance: random.Random) -> str:
    names, things = ["Anna", "the fox", "the old king"], ["a ring", "a red hat", "seven hens"]
    lines = [f"{chance.choice(names).capitalize()} found {chance.choice(things)} and went home." for _ in range(12)]
    return "A Tale\n\n" + "\n\n".join(lines)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A work folder with a corpus, its vocabulary and its token files."""
    folder, chance = tmp_path_factory.mktemp("work"), random.Random(1)
    for name, count in (("train.txt", 40), ("valid.txt", 4)):
        text = "".join(story(chance) + f"\n{corpus.SEPARATOR}\n" for _ in range(count))
        (folder / name).write_text(text)
    (folder / "tokenizer.model").write_bytes(tokenizer.train([folder / "train.txt"], VOCAB))
    processor = tokenizer.load(folder / "tokenizer.model")
    data.prepare(processor, [folder / "train.txt"], folder / "valid.txt", 0.5, 1, folder / "data")
    return folder


@pytest.fixture(scope="session")
def processor(folder):
    return tokenizer.load(folder / "tokenizer.model")


def losses(run):
    lines = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines if line["kind"] == "train"}


# Vocabulary


@pytest.mark.parametrize("text", ["The fox  found\n\na ring.", " leading", "", "zażółć 🦊\t\r\n", "<s></s><unk><0x0A>", "\n\n"])
def test_any_text_survives_the_tokenizer(processor, text):
    assert processor.decode(processor.encode(text)) == text


def test_special_ids_scores_and_types_are_those_of_llama_cpp(processor):
    pieces, scores, types = export.vocabulary(processor)
    assert len(pieces) == len(scores) == len(types) == VOCAB
    assert pieces[:3] == [b"<unk>", b"<s>", b"</s>"]
    assert types[:3] == [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    assert pieces[3] == b"<0x00>" and pieces[258] == b"<0xFF>"
    assert types[3:259] == [gguf.TokenType.BYTE] * 256
    assert types[259:] == [gguf.TokenType.NORMAL] * (VOCAB - 259)
    assert scores[259:] == [-float(rank) for rank in range(VOCAB - 259)]


def test_merging_by_score_alone_gives_sentencepiece_ids(processor):
    """llama.cpp's algorithm, in its plainest form: always merge the adjacent pair with the best score, leftmost first."""
    ids = {piece.decode(): token for token, piece in enumerate(export.vocabulary(processor)[0])}

    def encode(text):
        symbols = list("\u2581" + text.replace(" ", "\u2581"))
        while True:
            pairs = [(processor.get_score(ids[a + b]), -i) for i, (a, b) in enumerate(zip(symbols, symbols[1:])) if a + b in ids]
            if not pairs:
                break
            at = -max(pairs)[1]
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
        out = []
        for symbol in symbols:
            out += [ids[symbol]] if symbol in ids else [ids[f"<0x{byte:02X}>"] for byte in symbol.encode()]
        return out

    for text in ("The fox  found a ring.\n\nAnna", "seven hens went home", "the quick brown é"):
        assert encode(text) == processor.encode(text)


# Data


def test_token_files_hold_bos_document_eos(folder, processor):
    tokens = data.read(folder / "data" / "valid.bin")
    assert tokens[0] == tokenizer.BOS and tokens[-1] == tokenizer.EOS
    first = processor.decode(tokens[1 : list(tokens).index(tokenizer.EOS)].tolist())
    assert first == corpus.documents(folder / "valid.txt")[0]


def test_an_epoch_visits_every_window_once_and_the_next_one_differs(folder):
    import numpy as np

    windows = data.Windows(np.arange(1000, dtype="<u2"), context=16, batch=4, seed=1)
    steps = windows.per_epoch // 4
    epoch = [sorted(int(r) for s in range(e * steps, (e + 1) * steps) for r in windows.at(s)[0][:, 0]) for e in (0, 1)]
    assert len(set(epoch[0])) == windows.per_epoch
    assert {b - a for a, b in zip(epoch[0], epoch[0][1:])} == {16}
    tokens, targets = windows.at(0)
    assert torch.equal(tokens[:, 1:], targets[:, :-1])
    assert not torch.equal(tokens, windows.at(steps)[0])


# Model


def test_rope_turns_neighbouring_pairs_by_position():
    rope = Rope(context=4, head_dim=4, base=100.0)
    x = torch.zeros(1, 1, 4, 4)
    x[..., 0] = x[..., 2] = 1.0
    out = rope(x)[0, 0, 3]
    angle = torch.tensor([3.0, 3.0 * 100.0**-0.5])
    expected = torch.stack((angle.cos(), angle.sin()), dim=-1).flatten()
    assert torch.allclose(out, expected, atol=1e-6)


def test_a_token_never_sees_its_future():
    torch.manual_seed(1)
    model = Llama(SMALL.model)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    a = torch.randint(VOCAB, (1, 32))
    b = a.clone()
    b[0, 20:] = 7
    assert torch.allclose(model(a)[0, :20], model(b)[0, :20], atol=1e-5)
    assert not torch.allclose(model(a)[0, 20:], model(b)[0, 20:], atol=1e-2)


@pytest.mark.parametrize("stride", [32, 16])
def test_a_uniform_model_costs_log_vocab_per_token_counted_once(folder, stride):
    model = Llama(SMALL.model)
    torch.nn.init.zeros_(model.token_embd.weight)
    tokens = data.read(folder / "data" / "valid.bin")
    nats, count = evaluate.nll(model, tokens, 32, stride, bf16=False)
    assert count == len(tokens) - 1
    assert nats / count == pytest.approx(torch.tensor(float(VOCAB)).log().item(), rel=1e-5)


# Training


def test_resumed_run_repeats_the_losses_of_an_unbroken_one(folder, tmp_path):
    whole = loop.Trainer(SMALL, folder / "data", tmp_path / "whole")
    whole.run(None, 5, None)
    loop.Trainer(SMALL, folder / "data", tmp_path / "broken").run(None, 5, stop_at=5)
    second = loop.Trainer(SMALL, folder / "data", tmp_path / "broken")
    second.resume()
    assert second.step == 5
    second.run(None, 5, None)
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == SMALL.train.steps
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key]), key


def in_two_processes(job, peers):
    """Half the steps of a run, or all of them, as `parallel.run` calls it; module level, for it is pickled by name."""
    folder, run, stop_at = job
    trainer = loop.Trainer(SMALL, folder / "data", run, peers)
    if (run / "checkpoint.pt").exists():
        trainer.resume()
    trainer.run(None, 5, stop_at)
    trainer.measure_all(None, 16, whole=True)


def test_two_processes_take_the_steps_of_one_and_resume_as_one(folder, tmp_path):
    alone = loop.Trainer(SMALL, folder / "data", tmp_path / "alone")
    alone.run(None, 5, None)
    parallel.run(2, tmp_path / "whole", in_two_processes, (folder, tmp_path / "whole", None))
    for stop_at in (3, 7, None):
        parallel.run(2, tmp_path / "broken", in_two_processes, (folder, tmp_path / "broken", stop_at))
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert losses(tmp_path / "whole") == pytest.approx(losses(tmp_path / "alone"), rel=1e-3)
    whole, broken = (torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("whole", "broken"))
    for key, value in whole["model"].items():
        assert torch.equal(value, broken["model"][key]), key
    measured = [line for line in map(json.loads, (tmp_path / "whole" / "log.jsonl").read_text().splitlines()) if line.get("whole")]
    assert [line["bits_per_byte"] for line in measured] == [pytest.approx(alone.measure(None, 16), rel=1e-3)]


def test_a_run_begins_with_the_weights_of_another_of_the_same_shape(folder, tmp_path):
    first = loop.Trainer(SMALL, folder / "data", tmp_path / "first")
    first.run(None, 5, None)
    second = loop.Trainer(dataclasses.replace(SMALL, train=dataclasses.replace(SMALL.train, seed=9)), folder / "data", tmp_path / "second")
    second.begin_with(tmp_path / "first" / "checkpoint.pt")
    assert second.step == 0 and second.measure(None, 16) == first.measure(None, 16)
    second.run(None, 5, None)
    third = Llama(SMALL.model)
    third.load_state_dict(second.model.state_dict())
    loop.blend(third, tmp_path / "first" / "checkpoint.pt", 0.25)
    weight = [model.blocks[0].ffn.up.weight for model in (first.model, second.model, third)]
    assert torch.allclose(weight[2], 0.25 * weight[0] + 0.75 * weight[1], atol=1e-6) and not torch.equal(weight[0], weight[1])
    wider = dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, ffn=128))
    with pytest.raises(SystemExit, match="do not fit"):
        loop.Trainer(wider, folder / "data", tmp_path / "third").begin_with(tmp_path / "first" / "checkpoint.pt")


def test_a_batch_that_processes_cannot_share_is_refused(folder, tmp_path):
    with pytest.raises(SystemExit, match="4 windows.*3 processes"):
        loop.Trainer(SMALL, folder / "data", tmp_path, parallel.Peers(0, 3))


def test_training_lowers_the_loss_on_held_out_text(folder, tmp_path):
    trainer = loop.Trainer(dataclasses.replace(SMALL, train=dataclasses.replace(SMALL.train, steps=40)), folder / "data", tmp_path)
    before = trainer.measure(None, 16)
    trainer.run(None, 5, None)
    assert trainer.measure(None, 16) < 0.8 * before


def test_another_vocabulary_is_refused(folder, tmp_path):
    other = dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, vocab=VOCAB + 1))
    with pytest.raises(SystemExit, match="320"):
        loop.Trainer(other, folder / "data", tmp_path)


# Export


def test_exported_file_holds_every_weight_and_key(folder, processor, tmp_path):
    model = Llama(SMALL.model)
    export.write(model, processor, tmp_path / "small.gguf", "a test")
    reader = gguf.GGUFReader(tmp_path / "small.gguf")
    value = {name: field.contents() for name, field in reader.fields.items()}
    c = SMALL.model
    assert value["general.architecture"] == "llama"
    for key, expected in {
        "context_length": c.context, "embedding_length": c.dim, "block_count": c.layers, "feed_forward_length": c.ffn,
        "attention.head_count": c.heads, "attention.head_count_kv": c.kv_heads, "rope.dimension_count": c.head_dim,
        "rope.freq_base": c.rope_base, "vocab_size": c.vocab,
    }.items():
        assert value[f"llama.{key}"] == expected
    assert value["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)
    assert value["tokenizer.ggml.model"] == "llama"
    assert [value[f"tokenizer.ggml.{name}_token_id"] for name in ("unknown", "bos", "eos")] == [0, 1, 2]
    flags = {"add_bos_token": True, "add_eos_token": False, "add_space_prefix": True}
    assert {name: value[f"tokenizer.ggml.{name}"] for name in flags} == flags
    assert len(value["tokenizer.ggml.tokens"]) == VOCAB

    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert len(tensors) == 2 + 9 * c.layers and "output.weight" not in tensors
    assert sum(int(t.n_elements) for t in tensors.values()) == model.parameter_count()
    assert all(t.tensor_type == gguf.GGMLQuantizationType.F32 for t in tensors.values())
    written = torch.from_numpy(tensors["blk.1.ffn_down.weight"].data.copy())
    assert torch.equal(written, model.blocks[1].ffn.down.weight)
    assert list(tensors["blk.0.attn_k.weight"].shape) == [c.dim, c.kv_heads * c.head_dim]


def test_muon_in_f32_takes_the_steps_of_pytorchs():
    from trainlib.muon import Muon

    torch.manual_seed(1)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in ((8, 16), (16, 8), (8, 16), (8, 8))]
    theirs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    optimizers = Muon(ours, 0.02, 0.1, 0.95), torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95)
    begun = [matrix.detach().clone() for matrix in ours]
    for _ in range(4):
        for mine, other in zip(ours, theirs):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for mine, other, before in zip(ours, theirs, begun):
        # PyTorch rounds to bf16.
        assert (mine - other).norm() < 0.03 * (mine - before).norm()
