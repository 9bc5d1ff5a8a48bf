#!/usr/bin/env python3
"""Measures how well stories hold together, on any text of them: samples of a model, or stories of the generator.

    python coherence.py samples.txt
    python coherence.py samples.txt --beside stories-valid.txt --json coherence.json

The text has one story after the other; a line `<|endoftext|>` follows a story that ended by itself, a line `<|cut|>` one
that was cut off. (`samples.py` writes such a text from a GGUF file.) Per story:

*name*        the main character, who is named most often in the first third, is named again in the last third
*pronoun*     the pronouns that stand for the main character are of one gender, and fit "boy" or "girl" if that is said
*object*      a thing that comes in (a kite, her raincoat) in the first half is named in the second half
*end*         the story was not cut off, and its last sentence is whole
*repetition*  no eight words in a row stand there more than twice

These are rules of thumb over plain text, not a parser: the figures of human-made stories beside those of a model say
how far a rule can be trusted. `--show RULE` prints the stories that fail it.
"""

import argparse
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

END, CUT = "<|endoftext|>", "<|cut|>"
NGRAM = 8
"""Words of a repeated passage."""
MOST_REPEATS = 2
OTHER_GENDER_SHARE = 0.25
"""Share of the evidence that may speak for the other gender: the rules below misread about one sentence in ten."""

HE, SHE = "he", "she"
PRONOUNS = {"he": HE, "him": HE, "his": HE, "himself": HE, "she": SHE, "her": SHE, "hers": SHE, "herself": SHE}
KINDS = {"boy": HE, "man": HE, "king": HE, "prince": HE, "girl": SHE, "woman": SHE, "queen": SHE, "princess": SHE}
TITLES = "Mr Mrs Miss Ms Dr Mama Papa Mother Father Grandma Grandpa Uncle Aunt Old Captain King Queen".split()
NO_NAMES = set(TITLES) | set("""I Mom Dad Mommy Daddy God Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February
March April May June July August September October November December Christmas Easter""".split())
NO_OBJECTS = set("""day morning evening night afternoon time moment minute hour week month year while bit lot boy girl man woman child
baby friend brother sister mother father few little hundred thousand way voice noise sound smile sigh look town village city
house home forest hill place wish idea story breath step second half one name deal pair piece word face king queen eye eyes hand hands head foot feet nose arm arms leg legs mouth tummy hair heart name names bed mom dad
mind shoulder row question country island ground back life own family class turn hurry""".split())
STOPS = set("""that which who whom with without in on at of to from for by and or but so as than then when while where if because
was were is are had has have would could did do does not named called it he she they his her him them there over under behind into
like about near next up down out all very too just only made full between before after inside beside again through across
around under until along away back again together once now today lived came went sat stood lay could""".split())
SENTENCE = re.compile(r'(?<=[.!?])"?\s+|\n+')
WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
WHOLE_END = re.compile(r'[.!?]"?$')
INTRODUCTION = re.compile(r"\b(?:an?|one|two|three|some|his|her|their|my|your|our) (?=((?:[a-z-]+ ?){1,4}))", re.IGNORECASE)


@dataclass(frozen=True)
class Story:
    text: str
    ended: bool


def read(text: str) -> list[Story]:
    """The stories of a text. What follows the last mark has no end of its own."""
    stories, lines = [], []
    for line in text.split("\n"):
        if line in (END, CUT):
            stories.append(Story("\n".join(lines).strip(), line == END))
            lines = []
        else:
            lines.append(line)
    rest = "\n".join(lines).strip()
    if rest:
        stories.append(Story(rest, False))
    return [story for story in stories if story.text]


# Names


def names_of(text: str) -> list[str]:
    """Names in the order of their mentions: capital words that also stand inside a sentence, and no title before them."""
    inside = set()
    for found in re.finditer(r"(?<![.!?\"\n])(?<!^) \"?([A-Z][a-z]+)\b", text):
        before = WORD.findall(text[max(0, found.start() - 12) : found.start()])
        quoted = found.group(0)[1] == '"'
        if not quoted and found.group(1) not in NO_NAMES and not (before and before[-1] in TITLES):
            inside.add(found.group(1))
    lower = set(re.findall(r"\b[a-z]+\b", text))
    inside = {name for name in inside if name.lower() not in lower or f"named {name}" in text}
    return [word for word in re.findall(r"\b[A-Z][a-z]+\b", text) if word in inside]


def main_character(text: str) -> str | None:
    """Who is named most often in the first third; of equals, the first."""
    for part in (text[: len(text) // 3], text):
        counts = Counter(names_of_part(text, part))
        if counts:
            return max(counts, key=lambda name: (counts[name], -part.index(name)))
    return None


def names_of_part(text: str, part: str) -> list[str]:
    known = set(names_of(text))
    return [word for word in re.findall(r"\b[A-Z][a-z]+\b", part) if word in known]


def keeps_name(text: str, hero: str) -> bool:
    return re.search(rf"\b{hero}\b", text[len(text) * 2 // 3 :]) is not None


# Pronouns


def gender_evidence(text: str, hero: str) -> Counter:
    """How often each gender's pronouns seem to stand for the hero, in the narration.

    Counted: the first pronoun after the hero's name in a sentence that names nobody else; a sentence that begins with a
    subject pronoun, when the sentence before begins with the hero and names nobody else.
    """
    others = set(names_of(text)) - {hero}
    narration = re.sub(r'"[^"]*"', '""', text)
    evidence, before = Counter(), ""
    for sentence in SENTENCE.split(narration):
        words = WORD.findall(sentence)
        if not words:
            continue
        alone = not (set(words) & others) and not (set(w.lower() for w in words) & {"mom", "dad", "mother", "father", "grandma", "grandpa",
                                                                                "mama", "papa", "sister", "brother", "woman", "man"})
        if hero in words and alone:
            after = [w.lower() for w in words[words.index(hero) + 1 :]]
            first = next((w for w in after if w in PRONOUNS and w not in ("him", "her")), None)
            if first:
                evidence[PRONOUNS[first]] += 1
        elif words[0] in ("He", "She") and before == "hero":
            evidence[words[0].lower()] += 1
        before = "hero" if alone and words[0] == hero else ""
    return evidence


def stated_gender(text: str, hero: str) -> str | None:
    """The gender of "a girl named Mia" or "Mia was a little girl"."""
    kinds = "|".join(KINDS)
    found = re.search(rf"\b({kinds})(?:,)? (?:named|called) {hero}\b|\b{hero} was an? (?:[a-z]+ ){{0,2}}({kinds})\b", text)
    return KINDS[found.group(1) or found.group(2)] if found else None


def keeps_pronoun(text: str, hero: str) -> bool | None:
    """None where the text says nothing about it."""
    evidence, stated = gender_evidence(text, hero), stated_gender(text, hero)
    total = evidence.total()
    if not total:
        return None
    most = max((HE, SHE), key=lambda gender: evidence[gender])
    if stated and evidence[stated] != evidence[most]:
        return False
    return (total - evidence[most]) / total <= OTHER_GENDER_SHARE


# Objects


def introduced(text: str) -> dict[str, int]:
    """Nouns that come in with "a" or as somebody's own, with where: of "a small red kite that" it is "kite"."""
    found = {}
    for match in INTRODUCTION.finditer(text):
        words = []
        for word in match.group(1).split():
            if word in STOPS:
                break
            words.append(word)
        if words and words[-1] not in NO_OBJECTS and len(words[-1]) > 2:
            found.setdefault(words[-1], match.end())
    return found


def object_returns(text: str) -> bool | None:
    """Whether a thing of the first half is named in the second. None where nothing is introduced."""
    middle = len(text) // 2
    nouns = [noun for noun, at in introduced(text).items() if at <= middle]
    if not nouns:
        return None
    return re.search(rf"\b(?:{'|'.join(nouns)})s?\b", text[middle:]) is not None


# End and repetition


def ends(story: Story) -> bool:
    return story.ended and WHOLE_END.search(story.text) is not None


def most_repeated(text: str, size: int = NGRAM) -> int:
    """How often the most frequent run of `size` words stands in the text."""
    words = [word.lower() for word in WORD.findall(text)]
    runs = Counter(tuple(words[i : i + size]) for i in range(len(words) - size + 1))
    return max(runs.values(), default=0)


# The whole


RULES = ("name", "pronoun", "object", "end", "repetition")


def judge(story: Story) -> dict[str, bool | None]:
    """The verdict of every rule on a story; None where a rule does not apply."""
    hero = main_character(story.text)
    return {
        "name": keeps_name(story.text, hero) if hero else False,
        "pronoun": keeps_pronoun(story.text, hero) if hero else None,
        "object": object_returns(story.text),
        "end": ends(story),
        "repetition": most_repeated(story.text) <= MOST_REPEATS,
    }


def measure(stories: list[Story]) -> dict[str, dict]:
    """For each rule the share of the stories that keep it, among those that it applies to, and how many these are.

    `name and pronoun` is the share that keeps both; a story without evidence about the pronoun counts by its name.
    """
    verdicts = [judge(story) for story in stories]

    def share(values):
        known = [value for value in values if value is not None]
        return {"share": round(sum(known) / len(known), 4) if known else None, "of": len(known)}

    found = {rule: share([verdict[rule] for verdict in verdicts]) for rule in RULES}
    both = [verdict["name"] and verdict["pronoun"] is not False for verdict in verdicts]
    return {"stories": len(stories), "name and pronoun": share(both), **found}


def table(columns: dict[str, dict]) -> str:
    rows = ["name and pronoun", *RULES]
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    lines.append("| stories | " + " | ".join(str(column["stories"]) for column in columns.values()) + " |")
    for row in rows:
        cells = [f"{c[row]['share']:.1%} of {c[row]['of']}" if c[row]["share"] is not None else "-" for c in columns.values()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--beside", type=Path, metavar="FILE", help="another text, measured for comparison")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--show", choices=RULES, help="print the stories that fail this rule")
    args = parser.parse_args()
    columns = {}
    for path in filter(None, (args.text, args.beside)):
        stories = read(path.read_text(encoding="utf-8", errors="replace"))
        if not stories:
            raise SystemExit(f"{path} holds no stories: each is followed by a line {END} or {CUT}")
        columns[path.stem] = measure(stories)
        if args.show and path == args.text:
            for story in stories:
                if judge(story)[args.show] is False:
                    print(story.text, end="\n\n---\n\n")
    print(table(columns))
    if args.json:
        args.json.write_text(json.dumps(columns, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
