"""First sentences. They bring in the hero and promise nothing that a plot could break.

An opening that says what day it is sets `dated`; the plot's own "one day" then becomes "later that day". `sky` is
the weather that it speaks of: only a plot that allows this weather may begin so.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Opening:
    text: str
    weight: int = 1
    dated: bool = False
    sky: str = "any"
    people: bool = False
    """Only for a hero who is a child."""


OPENINGS = [
    Opening("once upon a time, there was {A.intro}. [{A.He} lived in {home}.|]", 8),
    Opening("once upon a time, in {home}, there lived {A.intro}.", 4),
    Opening("once upon a time, there lived {A.intro}. [{A} was always {A.quality}.|{A.His} home was {home}.]", 2),
    Opening("once upon a time, {A.intro} lived in {home}. [{A.He} was always {A.quality}.|]", 3),
    Opening("once there was {A.intro}. [{A.He} had {A.feature}.|{A.He} was always {A.quality}.|]", 2),
    Opening("there was once {A.intro} who lived in {home}.", 2),
    Opening("there once was {A.intro}. {A} lived in {home}.", 1),
    Opening("in {home}, there lived {A.intro}.", 2),
    Opening("{A.name} was {A.who} who lived in {home}.", 2),
    Opening("{A.name} was {A.who} with {A.feature}.", 2),
    Opening("this is a story about {A.intro}. [{A} lived in {home}.|]", 1),
    Opening("let me tell you about {A.name}, {A.who} who lived in {home}.", 1),
    Opening("have you heard about {A.name}? {A.name} was {A.who} with {A.feature}.", 1),
    Opening("everyone liked {A.name}. {A} was {A.who}, and {A.he} was always {A.quality}.", 1),
    Opening("{A.name} lived in {home}. [{A.He} was {A.who}.|{A.He} had {A.feature}.]", 2),
    Opening("not far from here, in {home}, lived {A.intro}.", 1),
    Opening("not so long ago, there was {A.intro}.", 1),
    Opening("{A.name} was {number} years old. [{A.He} lived in {home}.|{A.He} had {A.feature}.]", 2, people=True),
    Opening("{A.who} named {A.name} lived in {home}.", 2),
    Opening("one day, {A.intro} woke up very early.", 3, dated=True),
    Opening("one day, {A.intro} jumped out of bed with a smile.", 2, dated=True, people=True),
    Opening("one day, {A.intro} felt that something special was going to happen.", 2, dated=True),
    Opening("one day, {A.intro} had nothing to do.", 2, dated=True),
    Opening("one day, {A.intro} looked around and wondered what to do.", 2, dated=True),
    Opening("one day, not long ago, {A.intro} got up and stretched.", 1, dated=True),
    Opening("one morning, {A.intro} woke up and [rubbed {A.his} eyes|yawned a big yawn|looked around].", 2, dated=True),
    Opening("one sunny day, {A.intro} was outside in the warm air.", 2, dated=True, sky="sun"),
    Opening("one sunny morning, {A.intro} sat in the sunshine and hummed a song.", 2, dated=True, sky="sun"),
    Opening("it was a [bright|warm|lovely] day. {A.intro} could hear the birds sing.", 2, dated=True, sky="sun"),
    Opening("it was a [bright|warm|beautiful] morning, and the sky was blue. {A.intro} was already awake.", 2, dated=True, sky="sun"),
    Opening("the sun was shining, and the birds were singing. {A.intro} was in a good mood.", 2, dated=True, sky="sun"),
    Opening("the sun came up over {home}. {A.intro} was the first to wake up.", 1, dated=True, sky="sun"),
    Opening("it was still early, and everybody was asleep. Only {A.intro} was awake.", 2, dated=True, people=True),
    Opening('"good morning, sun!" said {A.name}. {A} was {A.who} who lived in {home}.', 1, dated=True, sky="sun"),
    Opening("it was a rainy day. {A.intro} watched the drops run down [the window|the glass].", 3, dated=True, sky="rain", people=True),
    Opening("the sky was gray, and the rain went drip, drip, drip. {A.intro} listened to it.", 2, dated=True, sky="rain"),
    Opening("it was a cold winter day. {A.intro} saw that everything was white.", 3, dated=True, sky="snow"),
    Opening("snow had fallen all night long. In the morning, {A.intro} looked out and laughed.", 2, dated=True, sky="snow"),
    Opening("it was a windy day. The leaves danced, and {A.intro} watched them.", 3, dated=True, sky="wind"),
]

DAYS = {
    "any": ["one day"] * 8 + ["one morning", "one afternoon", "one fine day", "on Saturday", "on Sunday", "one Friday", "one Monday"],
    "sun": ["one day"] * 6 + ["one sunny day", "one sunny morning", "one warm day", "one bright morning", "one summer day",
                              "one fine morning", "one spring day", "one sunny afternoon"],
    "rain": ["one day"] * 2 + ["one rainy day", "one wet morning", "one gray day", "one rainy afternoon"],
    "snow": ["one day"] * 2 + ["one winter day", "one cold day", "one cold morning", "one snowy day", "one snowy morning"],
    "wind": ["one day"] * 2 + ["one windy day", "one windy morning", "one autumn day", "one windy afternoon"],
    "night": ["one night", "one evening", "one dark night", "one quiet evening", "one cold night"],
}
LATER = ["that day", "later that day", "that same day", "a little later", "a short time later", "that very day"]
LATER_NIGHT = ["that night", "that evening", "when it got dark", "late that evening"]

QUALITIES = """kind to everyone
full of questions
ready to help
full of ideas
polite to everyone
cheerful
busy with some plan""".split("\n")
FEATURES = {
    True: """curly hair and a big smile
bright eyes and a kind heart
freckles on {A.his} nose
short black hair and a quick smile
a loud laugh
long legs and quick feet
a warm smile
big brown eyes
red cheeks and a happy laugh""".split("\n"),
    False: """bright eyes and a kind heart
big round eyes
a soft voice and a warm heart
a happy laugh
a warm smile
quick eyes""".split("\n"),
}
NUMBERS = "four five six seven eight".split()
