"""How it is said: notes, and the lines of events.

A line is a *frame*, which names the thing, around a *phrase*, which says what happened. Frames and phrases fit each other by
their grammar; which pairs of them are seen in training is `generate.py`'s to say.
"""

PREAMBLE = "You watch a site. Judge each event by the notes, in one word: ignore, log, warn or alarm."
HOURS = {True: "The site is open.", False: "The site is closed."}

NOTE = "- "
"""What a note stands behind."""

NOTES = {
    "door": {
        "repair": ("Door {t}: repair work.", "The {t} door is under repair.", "At the {t} door there is repair work."),
        "shut": ("Door {t}: must stay shut.", "The {t} door must stay shut.", "The {t} door is to be shut at all times."),
    },
    "sensor": {
        "test": ("Sensor {t}: test today.", "The {t} sensor is under test.", "With the {t} sensor there is a test today."),
        "faulty": ("Sensor {t}: faulty.", "The {t} sensor is faulty.", "As to the {t} sensor, it is known to be faulty."),
    },
    "login": {
        "away": ("User {t}: away.", "User {t} is away.", "User {t} is on leave."),
        "new password": ("User {t}: new password.", "User {t} has a new password.", "For user {t} there is a new password."),
    },
    "temperature": {"limit": ("Limit {t}: {n} degrees.", "The limit in the {t} is {n} degrees.", "In the {t} there may be {n} degrees.")},
    "link": {
        "spare": ("Link {t}: spare in use.", "The {t} link has a spare.", "For the {t} link there is a spare."),
        "works": ("Link {t}: works today.", "The {t} link has works today.", "On the {t} link there are works today."),
    },
}
"""By kind and state. Each names the thing before its state: a network this small learns to look up a state in some hundred steps
then, and in none of the first thousand if it may stand on either side."""

FRAMES = {
    "door": ("Door {t}: {p}.", "The {t} door {p}.", "Report from the {t} door: it {p}.", "It {p}, says the {t} door."),
    "sensor": ("Sensor {t}: {p}.", "The {t} sensor {p}.", "Report from the {t} sensor: it {p}.", "It {p}, says the {t} sensor."),
    "login": ("Login {t}: {p}.", "User {t} {p}.", "Report from the login of {t}: the user {p}.", "The user {p}, and it was {t}."),
    "temperature": ("Temperature {t}: it {p}.", "The {t} temperature {p}.", "Report from the {t}: the temperature {p}.", "It {p}, says the {t} temperature."),
    "link": ("Link {t}: {p}.", "The {t} link {p}.", "Report from the {t} link: it {p}.", "It {p}, says the {t} link."),
}

PHRASES = {
    "door": {
        "badge": ("was opened with a badge", "opened to a valid badge", "was opened, badge valid", "opened and the badge was right"),
        "no badge": ("was opened without a badge", "opened to no badge", "was opened, no badge", "opened and no badge was seen"),
        "left open": ("was left open", "has been open for ten minutes", "was opened and did not shut again", "stood open for long"),
        "forced": ("was forced", "was opened by force", "opened and the lock is broken", "has a broken lock"),
    },
    "sensor": {
        "motion": ("saw motion", "has seen somebody move", "reports motion", "saw that somebody was there"),
        "smoke": ("smells smoke", "has seen smoke", "reports smoke", "saw smoke and heat"),
        "smoke gone": ("smelled smoke, now clear air", "has seen smoke, gone again", "reports smoke that is gone", "saw smoke for a second only"),
        "water": ("found water", "has seen water on the floor", "reports water", "saw that the floor is wet"),
        "battery": ("is low on battery", "has a weak battery", "reports a low battery", "saw its battery fall"),
    },
    "login": {
        "at once": ("logged in at the first try", "is in at once", "logged in with the right password", "got in and made no mistake"),
        "after one": ("logged in after one failure", "is in at the second try", "logged in, one wrong password before", "got in and made one mistake"),
        "after many": ("logged in after nine failures", "is in at the tenth try", "logged in, eight wrong passwords before", "got in and made seven mistakes"),
        "failed once": ("failed to log in once", "is not in after one try", "gave one wrong password", "made one mistake and went away"),
        "failed often": ("failed to log in nine times", "is not in after ten tries", "gave eight wrong passwords", "made seven mistakes and went away"),
    },
    "temperature": {
        "first": ("is {n} degrees, the first reading", "stands at {n}, nothing known before", "reads {n} for the first time", "went to {n}, no reading before"),
        "rising": ("is {n} degrees and rising", "stands at {n}, higher than before", "reads {n} after less", "went up to {n} again"),
        "falling": ("is {n} degrees and falling", "stands at {n}, lower than before", "reads {n} after more", "went down to {n} again"),
        "steady": ("is {n} degrees and steady", "stands at {n}, as before", "reads {n} after the same", "went nowhere and is {n} again"),
    },
    "link": {
        "down": ("is down", "has no signal", "went down and stays down", "was lost and is not back"),
        "flapping": ("is down and up, down and up", "has lost its signal five times and is back", "went down and up again and again", "was lost and is back, the fifth time"),
        "slow": ("is slow", "has a weak signal", "went slow and stays slow", "was fast and is slow"),
        "back": ("is up again", "has its signal back", "went up and stays up", "was lost and is back"),
    },
}
"""By kind and fact; as many of each as there are frames."""

STATE = "state"
"""What is asked for, in place of what happened, where a line of the training text asks for the state of a thing."""
ASKED = {
    "door": "has which note", "sensor": "has which note", "login": "has which note", "link": "has which note",
    "temperature": "is {n} degrees and has which note",
}
STATE_WORDS = {
    "plain": "none", "repair": "repair", "shut": "shut", "test": "test", "faulty": "faulty", "away": "away",
    "new password": "new", "spare": "spare", "works": "works", "below": "below", "above": "above",
}
"""The answers to that."""
