"""Extract the features of any number of images. The network's speed is the only limit.

The protocol is that of clean-fid: G. Parmar, R. Zhang, J.-Y. Zhu, "On aliased resizing and surprising
subtleties in GAN evaluation", CVPR 2022.
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
"""Called once for each finished image."""

RESIZE = f"clean: Pillow bicubic on float32, antialiased, to {INPUT_SIDE}x{INPUT_SIDE}"
"""Description of the resizing for a score's protocol."""
VERSION = 1
"""Increase it when the same image gets other features. Stored features are then computed again."""

BATCH = 16


@lru_cache(64)
def _weights(length: int) -> sparse.csr_array:
    """Return a 299 x `length` matrix with Pillow's resizing weights, read from the resized rows of a unit
    matrix.
    """
    unit = PIL.Image.fromarray(np.eye(length, dtype=np.float32))
    resized = unit.resize((length, INPUT_SIDE), PIL.Image.Resampling.BICUBIC)
    return sparse.csr_array(np.asarray(resized))


def inception_input(image: Image) -> NDArray[np.float32]:
    """Return the network's input for an H x W x 3 image: 3 x 299 x 299 in [-1, 1).

    Each channel is resized separately, clipped to 0..255 and not rounded. Pillow resizes floats one channel
    at a time and takes twice as long as a product with its weights. Values differ by less than a
    ten-thousandth of a code value.
    """
    height, width = image.shape[:2]
    rows = _weights(height) @ image.reshape(height, -1).astype(np.float32)
    columns = np.ascontiguousarray(rows.reshape(INPUT_SIDE, width, 3).transpose(1, 2, 0)).reshape(width, -1)
    resized = (_weights(width) @ columns).reshape(INPUT_SIDE, 3, INPUT_SIDE)
    channels = np.ascontiguousarray(resized.transpose(1, 2, 0))
    np.clip(channels, 0, 255, out=channels)
    channels -= 128
    channels /= 128
    return np.asarray(channels, np.float32)


class _SeenImage(NamedTuple):
    """An image in the queue, with either its known features or its input for the network."""

    row: int
    key: bytes
    known: NDArray[np.float32] | None
    input: NDArray[np.float32] | None


def extract(
    images: Iterable[Image],
    network: Inception,
    store: FeatureStore | None,
    *,
    batch: int = BATCH,
    probabilities: bool = False,
    before: int = 0,
    tick: Tick | None = None,
) -> FeatureVectors:
    """Compute N x 2048 features in the order of the images and, if requested, N x 1008 probabilities.

    A thread reads and resizes images ahead of the network. Images whose features `store` has do not reach the
    network. Memory does not grow with N.

    Args:
        images: RGB images of 8 bits, H x W x 3.
        network: The Inception network.
        store: Features of earlier runs. None to compute everything.
        batch: Images per call of the network.
        probabilities: Whether to compute class probabilities.
        before: Number of images before the first one, for error messages.
        tick: Called once for each finished image.

    Returns:
        The features. The caller closes them.

    Raises:
        StreamtoonError: Features are not finite. The message has the image's number, from 1 after `before`.
        ValueError: Probabilities are requested but the weights have no classifier.
    """
    if probabilities and not network.has_classifier:
        raise ValueError("these weights have no classifier, which probabilities need")
    features = FeatureVectors(FEATURES, CLASSES if probabilities else 0)
    # Both groups wait for a full batch: probabilities are faster in batches, too.
    waiting: dict[bool, list[_SeenImage]] = {True: [], False: []}
    try:
        with closing(prefetch(_look(images, network, store), 2 * batch)) as looks:
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
    """Add the rows of images that are all known or all new."""
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
                f"the features of image {number} are not finite; check the weights of the network"
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


def _look(images: Iterable[Image], network: Inception, store: FeatureStore | None) -> Iterator[_SeenImage]:
    extractor = f"inception {network.weights_sha256}, {RESIZE}, {VERSION}"
    for row, image in enumerate(images):
        key = content_key(image, extractor) if store else b""
        known = store.get(key) if store else None
        yield _SeenImage(row, key, known, inception_input(image) if known is None else None)


def prefetch(items: Iterable[Item], size: int) -> Generator[Item]:
    """Yield the items, which a thread creates at most `size` items ahead.

    Exceptions of that thread are raised here. Closing the generator ends the thread after its current item.
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


def pixels(images: Iterable[Image], side: int = 64, *, tick: Tick | None = None) -> FeatureVectors:
    """Return N x (side * side * 3) values in [0, 1]: the images, area-averaged to side x side.

    They are for distances between pixels. Smaller images are interpolated linearly. The caller closes the
    result.
    """
    features = FeatureVectors(side * side * 3)
    try:
        for row, image in enumerate(images):
            small = cv2.resize(image.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
            features.put(row, np.clip(small / 255, 0, 1, dtype=np.float32).reshape(1, -1))
            if tick:
                tick()
    except BaseException:
        features.close()
        raise
    return features
