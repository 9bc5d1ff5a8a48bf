"""The parts of the trainer; `train.py` beside this package is the way in."""
