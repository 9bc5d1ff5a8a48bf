"""Forms of English that depend on the word: articles, pronouns, capital letters."""

import re
from dataclasses import dataclass

VOWEL_SOUND = re.compile(r"(?:[aei]|o(?!ne\b|nce\b)|u(?!ni|se|su)|hour|honest)", re.IGNORECASE)
"""Words that take "an": a vowel, but not the `you` of "unicorn" or the `w` of "one"; "hour" and "honest" begin silent."""


def with_article(noun: str) -> str:
    """`noun` with its indefinite article: a kite, an old kite."""
    return ("an " if VOWEL_SOUND.match(noun) else "a ") + noun


@dataclass(frozen=True)
class Pronouns:
    """One set of third-person pronouns, by the names that templates use."""

    he: str
    him: str
    his: str
    himself: str


HE = Pronouns("he", "him", "his", "himself")
SHE = Pronouns("she", "her", "her", "herself")
IT = Pronouns("it", "it", "its", "itself")


INDEFINITE = re.compile(r"\b([Aa]) (?=([\w-]+))")
KNOWN = re.compile(r"(?:a|an|two|three|four|five|six|seven|twelve) ")


def correct_articles(text: str) -> str:
    """`a` before a slot that turned out to begin with a vowel becomes `an`."""
    return INDEFINITE.sub(lambda found: found.group(1) + ("n " if VOWEL_SOUND.match(found.group(2)) else " "), text)


def definite(phrase: str) -> str:
    """A noun phrase when it comes up again: "a red cup" is "the red cup", "two lids" are "the two lids"."""
    article = KNOWN.match(phrase)
    if not article:
        return phrase
    return "the " + (phrase[article.end() :] if article.group().strip() in ("a", "an") else phrase)


def possessive(name: str) -> str:
    """Tom's; the boss's."""
    return name + "'s"


SENTENCE_START = re.compile(
    r"""(?: ^"?             # a paragraph, or one that opens with speech
          | [.!?]\s"?       # after a sentence of narration (or inside speech)
          | \."\s"?         # after speech that ends its sentence
          | (?<=\s)"        # speech that narration leads into
          | \^              # asked for by the template: speech with ! or ? may or may not end the sentence
        )([a-z])""",
    re.VERBOSE,
)


SPEECH_VERB = "(?:said|asked|cried|whispered|called|answered|shouted|thought|says|screamed)"
SPEECH_GOES_ON = re.compile(rf'[!?]" (?:[a-z]+ ){{0,4}}?{SPEECH_VERB}\b')
"""Who speaks, in a few small words, and a verb: his big sister asked."""
AFTER_SPEECH = re.compile(r'[!?]" [a-z]')
DIVIDED_SPEECH = re.compile(r'(?<=,")( (?:[^".!?]|Mrs?\.)*, ")(?=[a-z])')
NO_CAPITAL = "~"


def capitalise(paragraph: str) -> str:
    """Capital letters where sentences begin, speech included. Two places need a look: after `!"` and `?"` the sentence may
    go on ("Stop!" cried the baker), and so may divided speech ("Here," she said, "in the reeds"). A template says `^` or `~`
    where that is not seen."""
    paragraph = DIVIDED_SPEECH.sub(rf"\1{NO_CAPITAL}", paragraph)
    paragraph = AFTER_SPEECH.sub(
        lambda found: found.group() if SPEECH_GOES_ON.match(paragraph, found.start()) else found.group()[:-1] + found.group()[-1].upper(),
        paragraph,
    )
    paragraph = SENTENCE_START.sub(lambda found: found.group()[:-1] + found.group(1).upper(), paragraph)
    return paragraph.replace("^", "").replace(NO_CAPITAL, "")


DOUBLED = re.compile(r"\b(very|so|really) (?:very|so|really)\b")


def once(text: str) -> str:
    """"very" before a phrase that has one of its own: very very sad is very sad."""
    return DOUBLED.sub(r"\1", text)
