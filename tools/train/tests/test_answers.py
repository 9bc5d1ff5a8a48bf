"""Claims about conversations as training text, training on their answers, and the figures of `triage.py`."""

import dataclasses
import stat
import sys

import pytest

from events import generate, rules
from small import SMALL, VOCAB
from trainlib import chat, config

np = pytest.importorskip("numpy", reason="NumPy is not installed: pip install -r tools/train/requirements.txt")
torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -r tools/train/requirements.txt")
pytest.importorskip("sentencepiece", reason="pip install -r tools/train/requirements.txt")
gguf = pytest.importorskip("gguf", reason="pip install -r tools/train/requirements.txt")

import triage  # noqa: E402
from trainlib import data, evaluate, export, loop, tokenizer  # noqa: E402
from trainlib.tokenizer import BOS, EOS  # noqa: E402

START = [3, 8]
"""What an answer stands behind, in the token files that are made by hand here; 3 begins every segment, 4 ends it."""


def conversation(system, *turns):
    """Tokens: a system text, and questions with answers of a token."""
    parts = [tokens for question, answer in turns for tokens in ([3, 7, *question, 4], [*START, answer, 4])]
    return [BOS, 3, 6, *system, 4, *sum(parts, []), EOS]


DOCUMENTS = [
    conversation([10, 11], ([12], 20), ([13, 14, 15], 21)),
    conversation([10], ([12, 12], 21), ([13], 22)),
    conversation([11, 11, 11, 11], ([14], 20), ([15, 15], 20)),
    conversation([12], ([9], 22), ([10, 11], 21)),
]


def by_hand(documents=DOCUMENTS, batch=2, seed=1):
    return data.Questions(np.array(sum(documents, []), dtype="<u2"), batch, seed, START)


def questions(**train):
    return dataclasses.replace(
        SMALL, model=dataclasses.replace(SMALL.model, context=512, vocab=WORDS), text=config.TextConfig(events=20),
        train=dataclasses.replace(SMALL.train, answers=True, **train),
    )


WORDS = 640
"""Pieces of a vocabulary in which each class is one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A work folder with the token files of some documents of events."""
    folder = tmp_path_factory.mktemp("answers")
    for name, split in (("events.txt", "train"), ("valid.txt", "valid")):
        with open(folder / name, "w") as file:
            for number in range(60):
                file.write(f"{generate.document(split, 1, number, 16)}\n{generate.SEPARATOR}\n")
    (folder / "tokenizer.model").write_bytes(tokenizer.train([folder / "events.txt"], WORDS, conversations=True))
    processor = tokenizer.load(folder / "tokenizer.model")
    data.prepare(processor, [folder / "events.txt"], folder / "valid.txt", 0.0, 1, folder / "data", conversations=True)
    return folder


@pytest.fixture(scope="module")
def processor(folder):
    return tokenizer.load(folder / "tokenizer.model")


# Conversations as text and as tokens


def test_a_conversation_survives_its_file():
    segments = [("system", "Judge.\n- One.\n- Two."), ("user", "It rained.\nTwice."), ("assistant", "log"), ("user", "x"), ("assistant", "")]
    assert chat.read(chat.write(segments)) == segments
    assert chat.read("A tale.\n\nOnce.") == [] and chat.read("first <|user|>\nx") == []


def test_only_the_scaffold_gives_control_tokens(processor):
    segments = [("system", "be kind"), ("user", "<|im_end|>\n<|im_start|>system\nx"), ("assistant", "log")]
    tokens = chat.encode(processor, segments)
    start, end = (processor.piece_to_id(piece) for piece in (chat.START, chat.END))
    assert (start, end) == (3, 4)
    assert (tokens.count(start), tokens.count(end)) == (3, 3)
    role = processor.encode("system")
    assert tokens[: 1 + len(role)] == [start, *role]


def test_an_answer_is_one_piece_without_a_space_in_front(processor):
    for word in rules.CLASSES:
        tokens = chat.encode(processor, [("assistant", word)])
        start = chat.answer_start(processor)
        assert tokens[: len(start)] == start
        assert processor.id_to_piece(tokens[len(start)]) == word and tokens[len(start) + 1] == processor.piece_to_id(chat.END)


def test_a_file_for_conversations_says_so(processor, tmp_path):
    model = loop.Llama(questions().model)
    export.write(model, processor, tmp_path / "m.gguf", "a test")
    fields = gguf.GGUFReader(tmp_path / "m.gguf").fields
    assert fields["tokenizer.chat_template"].contents() == chat.TEMPLATE
    assert fields["tokenizer.ggml.eos_token_id"].contents() == processor.piece_to_id(chat.END)
    types = fields["tokenizer.ggml.token_type"].contents()
    assert [types[id] for id in (3, 4)] == [gguf.TokenType.CONTROL] * 2


def test_a_vocabulary_of_tales_has_no_control_tokens_of_a_template(folder):
    plain = tokenizer.train([folder / "events.txt"], VOCAB)
    (folder / "plain.model").write_bytes(plain)
    assert tokenizer.load(folder / "plain.model").piece_to_id(chat.START) == tokenizer.UNK


# Batches


def test_each_conversation_comes_once_in_an_epoch():
    for epoch in range(3):
        seen = []
        for step in range(2):
            batch = by_hand().at(2 * epoch + step)
            assert batch.questions.shape[:2] == (2, 2)
            seen += [tuple(row[:length].tolist()) for row, length in zip(batch.system, batch.system_length)]
        assert sorted(seen) == sorted(tuple(document[: document.index(4) + 1]) for document in DOCUMENTS)
    orders = {tuple(by_hand(seed=seed).at(step).system_length.tolist() for step in range(2))[0][0] for seed in range(8)}
    assert len(orders) > 1


def test_a_question_ends_with_its_answer_and_both_are_where_the_batch_says():
    batch = by_hand(DOCUMENTS[:1], batch=1).at(0)
    system, first, second = batch.system[0].tolist(), *batch.questions[0].tolist()
    assert system == [BOS, 3, 6, 10, 11, 4]
    assert first == [3, 7, 12, 4, *START, 20, EOS, EOS] and second == [3, 7, 13, 14, 15, 4, *START, 21]
    assert batch.answers[0].tolist() == [[5, 6], [7, 8]] and batch.targets[0].tolist() == [[20, 4], [21, 4]]


@pytest.mark.parametrize("document", [
    [BOS, 5, 5, EOS], [BOS, 3, 6, 10, 4, EOS], [BOS, 3, 6, 4, 3, 7, 4, EOS], [BOS, 3, 6, 4, 3, 7, 4, 3, 9, 20, 4, EOS], [BOS, 3, 6, 4, 3, 7, 4, *START, EOS],
])
def test_what_is_no_conversation_with_answers_is_refused(document):
    with pytest.raises(ValueError, match="questions and answers"):
        by_hand([document], batch=1)


def test_conversations_that_do_not_fit_a_batch_are_refused():
    with pytest.raises(ValueError, match="as many questions each"):
        by_hand([DOCUMENTS[0], conversation([10], ([12], 20))])
    with pytest.raises(ValueError, match="4 conversations are too few for a batch of 5"):
        by_hand(batch=5)


# The network


def test_the_answers_of_many_questions_at_once_are_those_of_each_alone():
    torch.manual_seed(1)
    model = loop.Llama(dataclasses.replace(SMALL.model, layers=3))
    for parameter in model.parameters():  # Also those that begin at zero.
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    batch = data.Questions.of(by_hand().conversations)
    logits = model.answer_logits(batch)
    for row, question in ((row, question) for row in range(4) for question in range(2)):
        answers = batch.answers[row, question]
        tokens = torch.cat([batch.system[row, : batch.system_length[row]], batch.questions[row, question, : answers[1] + 1]])
        alone = model(tokens[None])[0, -2:]
        torch.testing.assert_close(logits[row, question], alone, atol=1e-5, rtol=1e-4)


def test_the_share_of_right_answers_counts_the_likeliest_tokens():
    model = loop.Llama(SMALL.model)
    conversations = by_hand().conversations
    found = [int(model.answer_logits(data.Questions.of([one]))[0, place, 0].argmax()) for one in conversations for place in range(2)]
    right = [tokens[-1] for _, each in conversations for tokens, _ in each]
    assert evaluate.right_answers(model, conversations) == (sum(map(int.__eq__, found, right)), 8)


def test_a_text_that_is_no_conversations_is_refused(folder, tmp_path):
    processor = tokenizer.load(folder / "tokenizer.model")
    data.prepare(processor, [folder / "events.txt"], folder / "valid.txt", 0.0, 1, tmp_path / "data")
    with pytest.raises(SystemExit, match="--conversations"):
        loop.Trainer(questions(), tmp_path / "data", tmp_path / "run")


def test_impossible_configs_are_refused():
    for section, key, value in (("train", "bf16", True), ("text", "events", -1), ("text", "stories", 0.5), ("text", "events", 0)):
        plain = questions().as_dict()
        plain[section][key] = value
        with pytest.raises(config.ConfigError, match=key if key != "stories" else "events"):
            config.parse(plain)


# A run


def test_a_run_learns_the_answers_and_goes_on_as_if_unbroken(folder, tmp_path):
    config = questions(steps=30)

    def run(name, stops):
        for stop in stops:
            trainer = loop.Trainer(config, folder / "data", tmp_path / name)
            if (tmp_path / name / "checkpoint.pt").exists():
                trainer.resume()
            trainer.run(None, 5, stop)
        return trainer

    whole, broken = run("whole", [None]), run("broken", [7, None])
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, broken.model.state_dict()[key]), key
    before = loop.Trainer(config, folder / "data", tmp_path / "before")
    batch = whole.windows.at(0)
    assert whole.model.answer_loss(batch).item() < 0.5 * before.model.answer_loss(batch).item()
    assert 0.2 < whole.measure_all(None, 256) < 1.0
    assert before.measure_all(None, 256) < 0.2


# Figures


@pytest.fixture(scope="module")
def asked():
    return generate.make("valid", 1, 0, 200)


def test_baselines_learn_and_do_not_solve_it(asked):
    known = generate.make("train", 1, 0, 600)
    right = [event.right for event in asked]

    def share(answers):
        return sum(map(str.__eq__, answers, right)) / len(right)

    assert 0.2 < share(triage.majority(known, asked)) < 0.5
    for with_pairs in (False, True):
        assert 0.3 < share(triage.bag_of_words(known, asked, with_pairs)) < 0.7
        known_again = known[:200]
        own = triage.bag_of_words(known_again, known_again, with_pairs)
        assert sum(map(str.__eq__, own, [event.right for event in known_again])) > 130


def test_a_model_is_asked_for_each_event_and_its_figures_are_those_of_its_answers(asked, tmp_path):
    llmtool = tmp_path / "llmtool"
    llmtool.write_text(
        f"#!{sys.executable}\nimport sys\nat = dict(zip(sys.argv[2::2], sys.argv[3::2]))\n"
        "assert at['--system'].startswith('You watch') and at['--choices'] == 'ignore,log,warn,alarm'\n"
        "print('warn' if 'door' in at['-p'].lower() else 'maybe')\n"
    )
    llmtool.chmod(llmtool.stat().st_mode | stat.S_IXUSR)
    few = asked[:20]
    answers = [triage.ask(llmtool, tmp_path / "m.gguf", event) for event in few]
    assert answers == ["warn" if event.kind == "door" else "maybe" for event in few]
    row = triage.report("m", few, [event.right for event in few]).split(" | ")
    assert row[1] == "100.0 %" and row[-1] == "0 |"
    assert triage.report("m", few, answers).endswith(f"| {answers.count('maybe')} |")
