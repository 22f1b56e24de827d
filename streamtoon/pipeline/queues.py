"""Bounded queues between pipeline stages. Any thread can end or stop them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from engines.frame import Frame

T = TypeVar("T")

MAX_OTHER_ITEMS = 512
"""Non-frame items (such as audio packets) that a live queue holds before the source has to wait: seconds of
sound."""


class StoppedError(Exception):
    """A queue was stopped while a thread waited on it."""


class Queue(Generic[T]):
    """A bounded queue between two threads. `end` lets it run empty; `stop` discards its items."""

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._changed = threading.Condition()
        self._ended = self._stopped = False

    def put(self, item: T) -> None:
        """Wait for room, then append `item`. Raises StoppedError once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(item))
            if self._stopped:
                raise StoppedError
            self._items.append(item)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield items until the end, waiting for each. Raises StoppedError once stopped."""
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
            del item  # the waiting stage must not keep a finished frame alive

    def end(self) -> None:
        """Mark the end: items in the queue are still delivered, and nothing after them."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Discard all items and wake all waiting threads."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def _has_room(self, item: T) -> bool:
        return len(self._items) < self._size


class LiveQueue(Queue[T]):
    """A queue of at most one frame, plus the items between frames, so that no frame waits long."""

    def __init__(self) -> None:
        super().__init__(MAX_OTHER_ITEMS)

    def wait_for_room(self) -> None:
        """Wait until a frame can be put in. Raises StoppedError once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._picture() is None)
            if self._stopped:
                raise StoppedError

    def _has_room(self, item: T) -> bool:
        return super()._has_room(item) if not isinstance(item, Frame) else self._picture() is None

    def _picture(self) -> int | None:
        """Return the index of the waiting frame, or None."""
        return next((n for n, item in enumerate(self._items) if isinstance(item, Frame)), None)


class NewestQueue(LiveQueue[T]):
    """A LiveQueue in which a newer frame replaces the waiting one."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        """Number of frames that were replaced before delivery."""

    def put(self, item: T) -> None:
        """Append `item`; a frame never waits. Raises StoppedError once stopped."""
        with self._changed:
            old = self._picture() if isinstance(item, Frame) else None
            if old is not None:
                del self._items[old]
                self.dropped += 1
            super().put(item)
