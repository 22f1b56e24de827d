"""Feature vectors in a temporary file. Memory use does not grow with the number of images."""

from __future__ import annotations

import tempfile
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engines.errors import StreamtoonError

Rows = NDArray[np.float32]


class RowFile:
    """Rows of float32 in a temporary file, written in any order. Closing removes the file.

    Raises StreamtoonError if the disk is full.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._count = 0
        self._map: Rows | None = None
        try:
            self._file = tempfile.TemporaryFile(prefix="streamtoon-")  # noqa: SIM115
        except OSError as error:
            raise _no_room(error) from error

    def put(self, first: int, rows: Rows) -> None:
        """Write the rows `first`, `first` + 1...: N x width. Earlier rows that are never written are
        undefined.
        """
        assert rows.ndim == 2 and rows.shape[1] == self.width
        self._map = None
        try:
            self._file.seek(first * self.width * 4)
            self._file.write(np.ascontiguousarray(rows, np.float32).data)
        except OSError as error:
            raise _no_room(error) from error
        self._count = max(self._count, first + len(rows))

    def rows(self) -> Rows:
        """Return all rows, N x width, as a read-only memory map.

        They stay valid for as long as they are referenced, even after `close`.
        """
        if not self._count:
            return np.empty((0, self.width), np.float32)
        if self._map is None:
            try:
                self._file.flush()
            except OSError as error:
                raise _no_room(error) from error
            self._map = np.memmap(self._file, np.float32, "r", shape=(self._count, self.width))
        return self._map

    def close(self) -> None:
        """Close the file."""
        self._map = None
        self._file.close()


def _no_room(error: OSError) -> StreamtoonError:
    return StreamtoonError(
        f"cannot store features in {tempfile.gettempdir()} ({error.strerror or error}); free "
        "space there, or set TMPDIR to another folder"
    )


class FeatureVectors:
    """The features of N images. It is a context manager that frees the disk space."""

    def __init__(self, width: int, classes: int = 0) -> None:
        self.classes = classes
        self._vectors = RowFile(width)
        self._probabilities = RowFile(classes) if classes else None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def values(self) -> Rows:
        """N x D values in the order of the images."""
        return self._vectors.rows()

    @property
    def probabilities(self) -> Rows | None:
        """N x classes, each row with the sum 1. None if they were not requested."""
        return None if self._probabilities is None else self._probabilities.rows()

    def put(self, first: int, values: Rows, probabilities: Rows | None = None) -> None:
        """Write rows from number `first` on."""
        self._vectors.put(first, values)
        if self._probabilities is not None:
            assert probabilities is not None
            self._probabilities.put(first, probabilities)

    def close(self) -> None:
        """Close the files."""
        self._vectors.close()
        if self._probabilities is not None:
            self._probabilities.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
