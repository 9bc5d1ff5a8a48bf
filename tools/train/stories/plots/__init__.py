"""The plots, by what they are about. One file holds one idea."""

from importlib import import_module

THEMES = ("lost", "making", "friends", "courage", "animals", "kindness", "lessons", "wonder", "home", "days")

PLOTS = [plot for theme in THEMES for plot in import_module(f".{theme}", __name__).PLOTS]
