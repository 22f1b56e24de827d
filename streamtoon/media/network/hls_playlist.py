"""Writing an HLS playlist, and taking over segments of an earlier run (RFC 8216)."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from streamtoon.errors import OutputError

SEGMENT_COUNT: Final = 6
"""Number of segments in the playlist. Older ones are deleted after as many more."""
_MAX_PLAYLIST_BYTES: Final = 1_000_000
"""Maximum bytes of an earlier run's playlist to read."""


class Playlist:
    """The location of a playlist and its segments. Raises OutputError if it cannot be written.

    With `overwrite`, segment numbers continue those of an earlier run after a discontinuity, so that viewers
    need not reload. Earlier segments stay as long as the playlist contains them.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path = path
        self._own = re.compile(rf"{re.escape(path.stem)}-(\d{{5,}})\.ts")
        if not path.parent.is_dir():
            raise OutputError(f"The folder {path.parent} does not exist. Create it first.")
        if path.is_dir():
            raise OutputError(f"{path} is a folder. Give the name of a playlist in it.")
        if "%" in str(path):  # segment names are a pattern, and FFmpeg may not support %%
            raise OutputError(f"{path} contains a %, which segment names cannot contain. Rename it.")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} already exists. Use --overwrite to replace it.")
        if not os.access(path.parent, os.W_OK):
            raise OutputError(f"The folder {path.parent} is not writable.")

    @property
    def url(self) -> str:
        """The playlist's path for FFmpeg."""
        return self._url(self._path)

    def begin(self, seconds: float) -> dict[str, str]:
        """Return the muxer's options for segments of `seconds`, and remove unused old segments."""
        numbers = self._on_disk()
        named = self._named()
        flags = ["delete_segments", "independent_segments", "temp_file"]
        options = {
            "hls_time": f"{seconds:g}",
            "hls_list_size": str(SEGMENT_COUNT),
            "hls_segment_filename": f"{self._url(self._path.with_name(self._path.stem))}-%05d.ts",
        }
        if named:  # FFmpeg reads them, continues after them, and deletes them in turn
            flags.append("append_list")
        elif numbers:
            flags.append("discont_start")
            options["start_number"] = str(max(numbers) + 1)
        for number in numbers - set(named):
            if not named or number < named[0] - 1:  # a player may still be reading it
                with suppress(OSError):
                    self._path.with_name(f"{self._path.stem}-{number:05d}.ts").unlink()
        return options | {"hls_flags": "+".join(flags)}

    def _on_disk(self) -> set[int]:
        """Return the numbers of the segments that an earlier run left."""
        found = (self._own.fullmatch(file.name) for file in self._path.parent.iterdir())
        return {int(match[1]) for match in found if match}

    def _named(self) -> list[int]:
        """Return the segment numbers in an earlier run's playlist; none if the playlist is not ours.

        FFmpeg deletes the files that a playlist names, wherever they are. So it only gets playlists with our
        own segments.
        """
        try:
            with self._path.open(encoding="utf-8") as file:
                lines = file.read(_MAX_PLAYLIST_BYTES).splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        names = [line for line in lines if line and not line.startswith("#")]
        matches = [self._own.fullmatch(name) for name in names]
        numbers = [int(match[1]) for match in matches if match]
        first = next(
            (line.partition(":")[2] for line in lines if line.startswith("#EXT-X-MEDIA-SEQUENCE:")), ""
        )
        is_own = (
            lines[:1] == ["#EXTM3U"]
            and len(numbers) == len(names) == sum(line.startswith("#EXTINF:") for line in lines)
            and numbers[:1] == ([int(first)] if first.isdecimal() else [])
            and numbers == list(range(numbers[0], numbers[0] + len(numbers)) if numbers else [])
            and all(self._path.with_name(name).is_file() for name in names)
        )
        return numbers if is_own else []

    @staticmethod
    def _url(path: Path) -> str:
        """Return a path for FFmpeg, which does not delete segments whose names begin with "file:".

        A name with a colon could be taken for a URL, but not if it begins with a dot and a slash.
        """
        return str(path) if path.is_absolute() else os.path.join(os.curdir, path)  # noqa: PTH118 (Path drops it)
