"""Short present-day stories for children, by the seed: the second register of the training text.

A story is a *plot* (a skeleton of cause and consequence, `plots/`) played by a *cast* (`characters.py`) with
*things* (`things.py`) at *places* (`places.py`), said in one of many ways (`template.py`, `phrases.py`,
`story.py`), in correct English (`grammar.py`). `generate.py` writes as much of it as is wanted.
"""
