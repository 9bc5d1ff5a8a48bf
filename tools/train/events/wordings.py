"""How it is said: the standing text, and the lines of events.

A line is what applies, a *frame*, which names the thing, and in it a *phrase*, which says what happened. What applies are the
hours, and what is known of the thing: `Closed, under repair: The north door was opened, no badge.` Frames and phrases fit each
other by their grammar; which pairs of them are seen in training is `generate.py`'s to say.
"""

STANDING = """\
You watch a site. Each line is one event. Answer with one word: ignore, log, warn or alarm.
- ignore: it is as it should be, and nobody need know.
- log: nothing to do, but it should stand in the log.
- warn: somebody should look at it.
- alarm: somebody must come at once.
- A line begins with the hours, open or closed, and with what is known of the thing.
- What is known can make the same event better or worse.
- A temperature is to be compared with its limit.
- If nothing is known of the thing, judge by the event and the hours alone."""
"""What the model is told before every line."""

HOURS = {True: ("open", "open now", "in hours"), False: ("closed", "closed now", "after hours")}

KNOWN = {
    "door": {"repair": ("under repair", "repair work", "being repaired"), "shut": ("must stay shut", "to be shut", "no entry")},
    "sensor": {"test": ("under test", "test today", "being tested"), "faulty": ("faulty", "has a fault", "not reliable")},
    "login": {"away": ("away", "on leave", "not here"), "new password": ("new password", "password is new", "password reset")},
    "temperature": {"limit": ("limit {n}", "at most {n}", "{n} allowed")},
    "link": {"spare": ("spare in use", "has a spare", "spare ready"), "works": ("works today", "line works", "works on it")},
}
"""By kind and state."""

BEGINNINGS = ("{hours}, {known}: ", "{known}, {hours}: ")
PLAIN_BEGINNING = "{hours}: "

FRAMES = {
    "door": ("Door {t}: {p}.", "The {t} door {p}.", "From the {t} door: it {p}.", "It {p}, says the {t} door."),
    "sensor": ("Sensor {t}: {p}.", "The {t} sensor {p}.", "From the {t} sensor: it {p}.", "It {p}, says the {t} sensor."),
    "login": ("Login {t}: {p}.", "User {t} {p}.", "Login of {t}: the user {p}.", "The user {p}, and it was {t}."),
    "temperature": ("Temperature {t}: it {p}.", "The {t} temperature {p}.", "From the {t}: the temperature {p}.", "It {p}, says the {t} gauge."),
    "link": ("Link {t}: {p}.", "The {t} link {p}.", "From the {t} link: it {p}.", "It {p}, says the {t} link."),
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
