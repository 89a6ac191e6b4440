"""How long work says how far it is."""

from typing import Protocol


class ProgressCallback(Protocol):
    """A function that is called from time to time while work goes on."""

    def __call__(self, done: int, total: int, doing: str = "", /) -> None:
        """done : pieces of work that are finished, of `total`; doing : what is being worked on, for the user"""
