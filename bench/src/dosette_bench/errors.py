"""The one thing that goes wrong here and can be said in a sentence."""


class CannotMeasure(Exception):
    """What stands in the way, which, and what to do."""
