"""Many vectors in a file that nobody else sees: memory stays small for any number of pictures."""

from __future__ import annotations

import tempfile
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engines.errors import StreamtoonError

Rows = NDArray[np.float32]


class RowFile:
    """Rows of float32 in a temporary file, written in any order; the file goes when they are closed.

    Raises StreamtoonError where the disk has no room for them.
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
        """Rows `first`, `first` + 1...: N x width. What lies before them and is never put is undefined."""
        assert rows.ndim == 2 and rows.shape[1] == self.width
        self._map = None
        try:
            self._file.seek(first * self.width * 4)
            self._file.write(np.ascontiguousarray(rows, np.float32).data)
        except OSError as error:
            raise _no_room(error) from error
        self._count = max(self._count, first + len(rows))

    def rows(self) -> Rows:
        """All of them, N x width, read-only and read from the disk as they are used.

        They stay valid as long as somebody holds them, closed or not.
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
        """Let go of the file."""
        self._map = None
        self._file.close()


def _no_room(error: OSError) -> StreamtoonError:
    return StreamtoonError(
        f"features cannot be kept in {tempfile.gettempdir()} ({error.strerror or error}); "
        "make room there, or name another folder with TMPDIR"
    )


class FeatureVectors:
    """What a network, or a plain resize, says of N pictures. A context manager; closing it frees the disk."""

    def __init__(self, width: int, classes: int = 0) -> None:
        self.classes = classes
        self._vectors = RowFile(width)
        self._probabilities = RowFile(classes) if classes else None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def values(self) -> Rows:
        """N x D, in the pictures' order."""
        return self._vectors.rows()

    @property
    def probabilities(self) -> Rows | None:
        """N x classes, each row's sum 1; None where they were not asked for."""
        return None if self._probabilities is None else self._probabilities.rows()

    def put(self, first: int, values: Rows, probabilities: Rows | None = None) -> None:
        """Rows from `first` on."""
        self._vectors.put(first, values)
        if self._probabilities is not None:
            assert probabilities is not None
            self._probabilities.put(first, probabilities)

    def close(self) -> None:
        """Let go of the files."""
        self._vectors.close()
        if self._probabilities is not None:
            self._probabilities.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
