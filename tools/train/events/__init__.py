"""Lines of events for a component that triages them: a site with its notes, what happens there, and the right class of it.

    python -m events --documents 20000 -o events.txt

Standard library only. `rules.py` says what is right, `wordings.py` how it is said, `generate.py` what is in which split.
"""
