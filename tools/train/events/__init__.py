"""Lines of events for a component that triages them: what applies to a thing, what happens to it, and the right class of that.

    python -m events --documents 1600 -o events.txt

Standard library only. `rules.py` says what is right, `wordings.py` how it is said, `generate.py` what is in which split.
"""
