"""Queues between the stages of a pipeline: bounded, and ended or torn down from any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from engines.picture import Picture

T = TypeVar("T")

BETWEEN = 512
"""Items that may wait beside a live picture: seconds of sound, before the source has to wait."""


class StoppedError(Exception):
    """Thrown out of a queue's wait when the run is over for another reason."""


class Queue(Generic[T]):
    """A bounded queue between two threads that can end well (`end`) or be torn down (`stop`)."""

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._changed = threading.Condition()
        self._ended = self._stopped = False

    def put(self, item: T) -> None:
        """Wait for room, then append. Raises StoppedError once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(item))
            if self._stopped:
                raise StoppedError
            self._items.append(item)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Wait for and give items until the end. Raises StoppedError once stopped."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._ended or self._items)
                if self._stopped:
                    raise StoppedError
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
            del item  # a waiting stage must not keep a finished picture alive

    def end(self) -> None:
        """What is in it is still given, and nothing after that."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Throws away what is in it."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def _has_room(self, item: T) -> bool:
        return len(self._items) < self._size


class LiveQueue(Queue[T]):
    """Holds one picture, and what lies between pictures: no picture grows old in it."""

    def __init__(self) -> None:
        super().__init__(BETWEEN)

    def wait_for_room(self) -> None:
        """Until a picture could be put in. Raises StoppedError once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._picture() is None)
            if self._stopped:
                raise StoppedError

    def _has_room(self, item: T) -> bool:
        return super()._has_room(item) if not isinstance(item, Picture) else self._picture() is None

    def _picture(self) -> int | None:
        """The place of the picture that waits."""
        return next((n for n, item in enumerate(self._items) if isinstance(item, Picture)), None)


class NewestQueue(LiveQueue[T]):
    """A LiveQueue whose picture gives way to a newer one."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        """Pictures that were never given."""

    def put(self, item: T) -> None:
        """Append; a picture never waits. Raises StoppedError once stopped."""
        with self._changed:
            old = self._picture() if isinstance(item, Picture) else None
            if old is not None:
                del self._items[old]
                self.dropped += 1
            super().put(item)
