"""The folder of an unfinished output: a manifest, and one file for each finished segment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from streamtoon.cluster.jobs import SegmentFacts
from streamtoon.cluster.storage import Folder
from streamtoon.errors import OutputError
from streamtoon.media.segments.segment_file import DamagedSegmentError, DrawnSegment

MANIFEST = "manifest.json"
_SUFFIX = ".segment"


class SegmentFolder:
    """Reads and writes the folder of one output. Any number of machines may write different segments."""

    def __init__(self, name: str) -> None:
        self.path = name
        self._folder = Folder.named(name)

    def facts(self) -> dict[str, str]:
        """Return the manifest; empty if there is none."""
        data = self._folder.read(MANIFEST)
        if data is None:
            return {}
        try:
            return dict(json.loads(data))
        except ValueError as error:
            raise OutputError(
                f"{self.path}/{MANIFEST} is damaged. Run the command with --no-resume to start over."
            ) from error

    def begin(self, facts: Mapping[str, str]) -> None:
        """Write the manifest."""
        self._folder.write(MANIFEST, json.dumps(dict(facts), indent=2).encode())

    def note(self, name: str, value: str) -> None:
        """Add one fact to the manifest."""
        self.begin({**self.facts(), name: value})

    def numbers(self) -> set[int]:
        """Return the numbers of the segments that are there."""
        stems = (name.removesuffix(_SUFFIX) for name in self._folder.names() if name.endswith(_SUFFIX))
        return {int(stem) for stem in stems if stem.isdecimal()}

    def put(self, number: int, segment: DrawnSegment) -> None:
        """Write a segment, whole or not at all."""
        self._folder.write(_name(number), segment.pack())

    def get(self, number: int) -> DrawnSegment | None:
        """Return a segment, or None if it is missing or not whole."""
        data = self._folder.read(_name(number))
        try:
            return None if data is None else DrawnSegment.unpack(data)
        except DamagedSegmentError:
            return None

    def known(self, numbers: Sequence[int]) -> list[SegmentFacts]:
        """Return the facts of the given segments up to the first one that is missing or not whole."""
        found = []
        for number in numbers:
            segment = self.get(number)
            if segment is None:
                break
            found.append(SegmentFacts(number, segment.ends, segment.facts))
        return found

    def remove(self) -> None:
        """Remove the folder."""
        self._folder.remove()


def _name(number: int) -> str:
    return f"{number:06}{_SUFFIX}"
