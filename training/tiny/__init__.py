"""quicksviewer-tiny: a model of a few million parameters that learns to see generated clips on two cores.

Its data is drawn (`clips.py`, `texts.py`), its beginning made (`start.py`) and its course a chain of recipes
(`recipes.py`); all else is the code that trains the real model.
"""
