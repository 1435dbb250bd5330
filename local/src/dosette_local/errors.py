"""What keeps the household from starting, as one sentence for the person at the terminal."""


class CannotStart(Exception):
    """Says what is wrong, which thing it is, and what to do; shown without a traceback, exit code 1."""


class Stopped(Exception):
    """Someone asked to stop while the household was still starting."""
