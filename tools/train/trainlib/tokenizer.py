"""The SentencePiece BPE vocabulary, made so that llama.cpp's `llama` tokenizer gives the same ids.

llama.cpp merges by piece score and knows three special ids, the 256 byte pieces and ordinary pieces.
So: identity normalisation, no squeezing of spaces, one dummy space in front of the text, byte fallback
(which is also how a newline is written), and no user-defined pieces, which llama.cpp does not match in
plain text.
"""

import io
from pathlib import Path

import sentencepiece

from . import chat, corpus

UNK, BOS, EOS = 0, 1, 2
LONGEST_PARAGRAPH = 1 << 20
"""Bytes; SentencePiece skips longer lines, and the corpus has one paragraph per line."""


def train(files: list[Path], vocab: int, conversations: bool = False) -> bytes:
    """Trains a vocabulary and returns SentencePiece's model file. SentencePiece's BPE draws no random numbers. One for
    conversations has the control tokens of their template."""

    def paragraphs():
        for path in files:
            for document in corpus.documents(path):
                segments = chat.read(document)
                yield from chat.words(segments) if segments else (line for line in document.split("\n") if line)

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=paragraphs(),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        split_digits=True,
        character_coverage=1.0,
        max_sentence_length=LONGEST_PARAGRAPH,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=EOS,
        pad_id=-1,
        control_symbols=[chat.START, chat.END] if conversations else [],
        num_threads=1,
        minloglevel=1,
    )
    return model.getvalue()


def load(path: Path) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(path))
