"""Conversations: texts with roles, written as a text file, and rendered to tokens as the engine renders them.

In a file, a line `<|system|>`, `<|user|>` or `<|assistant|>` begins a segment, whose text is the lines up to the next. The
tokens are those of ChatML. What stands between two control tokens is tokenized as one piece, which is what llama.cpp and the
engine do; so a prompt that the engine renders is the beginning of what a model was trained on, token for token.
"""

import re

START, END = "<|im_start|>", "<|im_end|>"
"""The control tokens."""
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The published template of ChatML, which the engine recognises by all of its text."""
MARK = re.compile(r"<\|(system|user|assistant)\|>\n")


def write(segments: list[tuple[str, str]]) -> str:
    """Roles and texts as a document of a text file."""
    return "\n".join(f"<|{role}|>\n{text}" for role, text in segments)


def read(document: str) -> list[tuple[str, str]]:
    """The roles and texts of a document; none if it is no conversation."""
    before, *parts = MARK.split(document)
    if before or not parts:
        return []
    return [(role, text.removesuffix("\n")) for role, text in zip(parts[::2], parts[1::2])]


def words(segments: list[tuple[str, str]]):
    """Lines for the vocabulary to be trained on. An answer stands behind a line's end and not behind a space, so that its words
    become pieces without one."""
    for role, text in segments:
        yield role
        yield from (f"={line}" if role == "assistant" else line for line in text.split("\n") if line)


def encode(processor, segments: list[tuple[str, str]]) -> list[int]:
    """The tokens of a conversation, without a beginning or end of text."""
    start, end = (processor.piece_to_id(piece) for piece in (START, END))
    line_end = processor.encode("\n")
    tokens = []
    for role, text in segments:
        tokens += [start, *processor.encode(f"{role}\n{text}"), end, *line_end]
    return tokens


def answer_start(processor) -> list[int]:
    """The tokens behind which an answer stands."""
    return [processor.piece_to_id(START), *processor.encode("assistant\n")]
