"""A value of a MATLAB file, read when it is asked for: numbers, text, a cell array, a struct."""

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NoReturn

import numpy as np

from ...errors import BadRecording

LARGEST = 1 << 28  # bytes of one array of numbers or one text; a recording of AMIGOS or DREAMER has a tenth of it
MOST_CELLS = 1_000_000  # of one cell array
NUMBERS = ("double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
REFETCH = "The download may be cut short or changed; fetch it again."
CONVERT = "Save it from MATLAB as plain numbers, text, cells and structs."


class MatValue(ABC):
    """A variable, or a part of one. Nothing is executed; objects and functions are refused.

    path : the file
    name : where in it, as MATLAB writes it: DREAMER.Data{3}.EEG
    kind : MATLAB's class: double, ..., logical, char, cell, struct; any other is refused when it is read
    shape : rows and columns, and more where it has more
    """

    path: Path
    name: str
    kind: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of its elements."""
        return math.prod(self.shape)

    def numbers(self) -> np.ndarray:
        """Return an array of numbers, `shape`. Raises BadRecording if it is something else or damaged."""
        if self.kind not in NUMBERS:
            self._refuse("numbers")
        return self._numbers()

    def text(self) -> str:
        """Return a text. Raises BadRecording if it is something else or damaged."""
        if self.kind != "char" or (self.size and (len(self.shape) != 2 or self.shape[0] != 1)):
            self._refuse("text in one row")
        return self._text() if self.size else ""

    def cell(self, number: int) -> "MatValue":
        """Return a cell of a cell array by its number, from 0, down the columns. Raises BadRecording."""
        if self.kind != "cell" or not 0 <= number < self.size:
            self._refuse(f"a cell array of at least {number + 1} cells")
        return self._cell(number)

    def field(self, name: str) -> "MatValue":
        """Return a field of a struct. Raises BadRecording if there is none of this name."""
        names = self.fields()
        if name not in names:
            more = ", ".join(names[:12]) or "no field"
            raise BadRecording(self.path, f"a field {name} in {self.name}", more)
        return self._field(name)

    def fields(self) -> list[str]:
        """Return the names of a struct's fields. Raises BadRecording if it is something else."""
        if self.kind != "struct" or self.size != 1:
            self._refuse("one struct")
        return self._fields()

    @property
    def description(self) -> str:
        """What it is, for messages: "double of 10 x 14"."""
        return f"{self.kind} of {' x '.join(map(str, self.shape))}" if self.shape else self.kind

    def damaged(self, what: object) -> BadRecording:
        """Return the error that the file does not hold what it says."""
        return BadRecording(self.path, f"a whole MATLAB file with {self.name}", what, REFETCH)

    def _refuse(self, wanted: str) -> NoReturn:
        remedy = "" if self.kind in (*NUMBERS, "char", "cell", "struct") else CONVERT
        raise BadRecording(self.path, f"{wanted} in {self.name}", self.description, remedy)

    @abstractmethod
    def _numbers(self) -> np.ndarray: ...

    @abstractmethod
    def _text(self) -> str: ...

    @abstractmethod
    def _cell(self, number: int) -> "MatValue": ...

    @abstractmethod
    def _field(self, name: str) -> "MatValue": ...

    @abstractmethod
    def _fields(self) -> list[str]: ...
