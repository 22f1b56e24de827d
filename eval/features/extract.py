"""Features of any number of pictures, at the speed of the network alone.

The protocol is clean-fid's: G. Parmar, R. Zhang, J.-Y. Zhu, "On aliased resizing and surprising subtleties in
GAN evaluation", CVPR 2022.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import lru_cache
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from scipy import sparse

from engines.common.arrays import Image
from engines.errors import StreamtoonError
from eval.features.inception import CLASSES, FEATURES, INPUT_SIDE, Inception
from eval.features.store import FeatureStore, content_key
from eval.features.vectors import FeatureVectors

Item = TypeVar("Item")
Tick = Callable[[], object]
"""Called once a picture, when it is done."""

RESIZE = f"clean: Pillow bicubic on float32, antialiased, to {INPUT_SIDE}x{INPUT_SIDE}"
"""For a score's protocol."""
VERSION = 1
"""To be raised when the same picture gives other features: what was kept is then computed anew."""

BATCH = 16


@lru_cache(64)
def _weights(length: int) -> sparse.csr_array:
    """299 x `length`: how Pillow weighs pixels when it resizes, read off the rows of a unit matrix."""
    unit = PIL.Image.fromarray(np.eye(length, dtype=np.float32))
    resized = unit.resize((length, INPUT_SIDE), PIL.Image.Resampling.BICUBIC)
    return sparse.csr_array(np.asarray(resized))


def inception_input(picture: Image) -> NDArray[np.float32]:
    """3 x 299 x 299 in [-1, 1): every channel by itself, clipped to 0..255 and never rounded.

    Pillow's own resizing of floats takes one channel at a time and twice as long as its weights by
    themselves; values differ by less than a ten-thousandth of a code value.
    """
    height, width = picture.shape[:2]
    rows = _weights(height) @ picture.reshape(height, -1).astype(np.float32)
    columns = np.ascontiguousarray(rows.reshape(INPUT_SIDE, width, 3).transpose(1, 2, 0)).reshape(width, -1)
    resized = (_weights(width) @ columns).reshape(INPUT_SIDE, 3, INPUT_SIDE)
    channels = np.ascontiguousarray(resized.transpose(1, 2, 0))
    np.clip(channels, 0, 255, out=channels)
    channels -= 128
    channels /= 128
    return np.asarray(channels, np.float32)


class _SeenImage(NamedTuple):
    """A picture on its way: either its features are known, or its input for the network is there."""

    row: int
    key: bytes
    known: NDArray[np.float32] | None
    input: NDArray[np.float32] | None


def extract(
    pictures: Iterable[Image],
    network: Inception,
    store: FeatureStore | None,
    *,
    batch: int = BATCH,
    probabilities: bool = False,
    before: int = 0,
    tick: Tick | None = None,
) -> FeatureVectors:
    """N x 2048 features in the pictures' order, and N x 1008 probabilities where they are wanted.

    Pictures are fetched and resized by a thread that is ahead of the network; those that `store` knows never
    reach it. Memory does not grow with N. The caller closes what comes. Raises StreamtoonError when features
    are not finite, with the picture's number from 1 after `before`; ValueError when probabilities are wanted
    from weights without a classifier.
    """
    if probabilities and not network.has_classifier:
        raise ValueError("these weights have no classifier, so there are no probabilities")
    features = FeatureVectors(FEATURES, CLASSES if probabilities else 0)
    # Both kinds wait for a full batch of their own: probabilities, too, are cheaper by the batch.
    waiting: dict[bool, list[_SeenImage]] = {True: [], False: []}
    try:
        with closing(prefetch(_look(pictures, network, store), 2 * batch)) as looks:
            for seen in looks:
                group = waiting[seen.known is not None]
                group.append(seen)
                if len(group) == batch:
                    _finish(group, network, store, features, before, tick)
                    group.clear()
        for group in waiting.values():
            _finish(group, network, store, features, before, tick)
    except BaseException:
        features.close()
        raise
    return features


def _finish(
    group: list[_SeenImage],
    network: Inception,
    store: FeatureStore | None,
    features: FeatureVectors,
    before: int,
    tick: Tick | None,
) -> None:
    """Rows of features for pictures that are all known or all new."""
    if not group:
        return
    inputs = [seen.input for seen in group if seen.input is not None]
    if inputs:
        values = network.features(torch.from_numpy(np.stack(inputs)))
        rows = values.cpu().numpy()
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            number = before + group[int(np.argmin(finite))].row + 1
            raise StreamtoonError(
                f"picture {number}: its features are not finite numbers; are the network's weights whole?"
            )
        if store:
            store.put([(seen.key, row) for seen, row in zip(group, rows, strict=True)])
    else:
        rows = np.stack([seen.known for seen in group if seen.known is not None])
        values = torch.from_numpy(rows)
    classes = torch.softmax(network.logits(values), 1).cpu().numpy() if features.classes else None
    for index, seen in enumerate(group):
        one = slice(index, index + 1)
        features.put(seen.row, rows[one], None if classes is None else classes[one])
        if tick:
            tick()


def _look(pictures: Iterable[Image], network: Inception, store: FeatureStore | None) -> Iterator[_SeenImage]:
    extractor = f"inception {network.weights_sha256}, {RESIZE}, {VERSION}"
    for row, picture in enumerate(pictures):
        key = content_key(picture, extractor) if store else b""
        known = store.get(key) if store else None
        yield _SeenImage(row, key, known, inception_input(picture) if known is None else None)


def prefetch(items: Iterable[Item], size: int) -> Generator[Item]:
    """The same items, made by a thread that is at most `size` of them ahead.

    What making them raises is raised here. Closing it ends the thread, after the item that it is making.
    """
    made: queue.SimpleQueue[tuple[Item] | BaseException | None] = queue.SimpleQueue()
    room, over = threading.Semaphore(size), threading.Event()

    def make() -> None:
        try:
            source = iter(items)
            while room.acquire() and not over.is_set():
                made.put((next(source),))
        except StopIteration:
            made.put(None)
        except BaseException as error:
            made.put(error)

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            room.release()
            yield item[0]
    finally:
        over.set()
        room.release()
        thread.join()


def pixels(pictures: Iterable[Image], side: int = 64, *, tick: Tick | None = None) -> FeatureVectors:
    """N x (side * side * 3) values in [0, 1]: the pictures themselves, averaged over areas to side x side.

    For distances between pixels. Pictures smaller than that are interpolated linearly. The caller closes
    what comes.
    """
    features = FeatureVectors(side * side * 3)
    try:
        for row, picture in enumerate(pictures):
            small = cv2.resize(picture.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
            features.put(row, np.clip(small / 255, 0, 1, dtype=np.float32).reshape(1, -1))
            if tick:
                tick()
    except BaseException:
        features.close()
        raise
    return features
