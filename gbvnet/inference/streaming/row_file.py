"""The CSV file of a stream's rows, on disk row by row, and the JSON file beside it."""

import csv
import json
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ...errors import BadConfig, BadInput
from ...io.atomic import atomic_write
from .emotion_stream import EmotionStream


@dataclass(frozen=True)
class RowOutput:
    """A CSV file to write; FILE.json is written beside it.

    overwrite : replace either of them if it exists
    """

    path: Path
    overwrite: bool = False

    @property
    def details_path(self) -> Path:
        """The JSON file beside the CSV file."""
        return self.path.with_suffix(".json")

    def require_writable(self, inputs: Sequence[Path]) -> None:
        """Raise BadConfig if writing would replace an existing file, or an input in any case."""
        if self.path.suffix.lower() == ".json":
            raise BadConfig(
                f"--out {self.path}: give a name that ends in .csv; one that ends in .json is written beside it"
            )
        for file in (self.path, self.details_path):
            if not (file.exists() or file.is_symlink()):
                continue
            existing = [path for path in inputs if path.exists()]
            if file.is_dir() or any(file.exists() and file.samefile(path) for path in existing):
                raise BadConfig(f"{file} is {'a folder' if file.is_dir() else 'an input file'}: give another --out")
            if not self.overwrite:
                raise BadConfig(
                    f"{file} exists, and may be a recording that cannot be repeated: give another --out, or --overwrite"
                )


@contextmanager
def row_file(
    output: RowOutput, stream: EmotionStream, details: Mapping[str, Any], inputs: Sequence[Path]
) -> Generator[Callable[[Mapping[str, Any]], None]]:
    """Open the CSV file, and yield a function that writes a row and flushes it to the disk.

    details : content of the JSON file, to which the stream's messages are added at the end

    Raises BadConfig if the files exist and must not be replaced, BadInput if they cannot be written.
    """
    output.require_writable(inputs)
    try:
        output.path.parent.mkdir(parents=True, exist_ok=True)
        file: TextIO = output.path.open("w" if output.overwrite else "x", newline="", encoding="utf-8")
        atomic_write(output.details_path, (json.dumps(details, indent=2) + "\n").encode())
    except OSError as error:
        raise BadInput(output.path, "a file that can be written", error.strerror or str(error)) from None
    with file:
        table = csv.writer(file, lineterminator="\n")

        def write(row: Mapping[str, Any]) -> None:
            table.writerow([_cell(value) for value in row.values()])
            file.flush()

        table.writerow(stream.columns)
        file.flush()
        yield write
        with_messages = {**details, "messages": stream.messages}
        atomic_write(output.details_path, (json.dumps(with_messages, indent=2) + "\n").encode())


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value
