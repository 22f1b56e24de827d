"""Runs the corpus and writes what was seen: `python tests/reliability.py docs/reliability.md`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from reliability_cases import CASES
from reliability_promises import Case, Ended

from streamtoon import Cartoonizer
from streamtoon.errors import StreamtoonError
from streamtoon.media import opening

PATIENCE = 1.5
"""Seconds that are waited for a pipe here, so that the run is short; the tool's own are tested apart."""


def run_case(case: Case, folder: Path, cartoonizer: Cartoonizer) -> str:
    """Makes the files of `case` in `folder`, converts each, asserts the promise and says what was seen."""
    made = case.make(folder)
    seen: Counter[str] = Counter()
    for n, source in enumerate([made] if isinstance(made, (Path, str)) else made):
        (folder / f"out-{n}").mkdir()
        target = Path(case.target or folder / f"out-{n}" / "out.mkv")
        seen[case.promise.holds(_convert(cartoonizer, source, target, case.options))] += 1
    assert seen, "nothing was made"
    return _summary(seen)


def _convert(cartoonizer: Cartoonizer, source: Path | str, target: Path, options: dict[str, Any]) -> Ended:
    began = time.perf_counter()
    error, warnings = None, ()
    try:
        warnings = cartoonizer.video(source, target, **options).warnings
    except StreamtoonError as problem:
        error = str(problem)
    left = [path for path in target.parent.glob("*") if path.name.startswith(".out")]
    assert not left, "something half-written is left"
    return Ended(Path(source), target, error, warnings, time.perf_counter() - began)


def _summary(seen: Counter[str]) -> str:
    """ "one sentence (3 files), 5 to 24 pictures (16)"."""
    if sum(seen.values()) == 1:
        return next(iter(seen))
    pictures = sorted(int(text.split()[0]) for text in seen if text[0].isdigit())
    parts = [f"one sentence ({seen['one sentence']})"] if seen["one sentence"] else []
    if pictures:
        total = sum(count for text, count in seen.items() if text[0].isdigit())
        span = f"{pictures[0]}" if pictures[0] == pictures[-1] else f"{pictures[0]} to {pictures[-1]}"
        parts.append(f"{span} pictures ({total})")
    return f"{sum(seen.values())} files: " + ", ".join(parts)


@contextmanager
def opened() -> Iterator[Cartoonizer]:
    """What converts the corpus: drawing does not matter here, and pipes are waited for only shortly."""
    with patch.object(opening, "LIMIT", PATIENCE), Cartoonizer(strength=0, quality="lite") as cartoonizer:
        yield cartoonizer


HEAD = """# Reliability

Damaged, odd and hostile videos, what is promised for each, and what a run has seen (pictures of damaged ones
may be one more or fewer in another run). Written by
`python tests/reliability.py docs/reliability.md`; the same cases run with the tests, where a broken promise
fails. The videos are made on the spot by `tests/corpus.py` (a second of small pictures with a tone, unless
the case says otherwise); the results are read back by an independent reader, never by the tool itself.

“One sentence” is a `StreamtoonError`: the command prints it and ends with code 1, within half a minute, and
nothing is written. Where a row has several files, their number stands in brackets.
"""


TAIL = """

## Killed, and full disks

`python tests/killed_job.py kill 200` ends jobs of 300 pictures with kill -9 at random moments, runs the same
line again and compares with a run that nobody disturbed: 200 of 200 were killed at work (3 in the first
part, 138 in a later one, 35 while the parts were joined, 24 after that), and all 200 results are equal.
`python tests/killed_job.py fill 50` lets a small disk become full instead: 50 of 50 ended with one sentence,
went on when there was room, and are equal.

## Fuzzing

A seeded byte-flipper, 20,000 cases of each kind from seed 0. Each was used, or refused with one sentence:
nothing crashed, hung or ended in a traceback.

| Kind | Refused | Used |
|---|---|---|
| videos | 7,024 | 12,976 |
| style cards | 19,520 | 480 |
| recipes | 17,440 | 2,560 |
| graphs of styles | 18,790 | 1,210 |
| graphs whose operators were altered | 15,499 | 4,501 |
| graphs to be added as styles | 18,704 | 1,296 |
| weights, safetensors | 14,494 | 5,506 |
| weights, pickles of torch | 14,669 | 5,331 |

Videos by `python tests/fuzz_media.py --cases 20000`, 312 MB at most; the rest by `STREAMTOON_FUZZ_CASES=20000
pytest -s tests/test_fuzz_styles.py`.

## Live

An hour of `streamtoon stream` from UDP at 640x360 and 25 pictures a second into Matroska (`fast`, two cores
with other work on them, so that 9 % of the pictures were dropped): of 3442 flashes that were drawn each is
0.0 ms from its beep in the median and 22 at most, in the last ten minutes as in the first. Memory went from
237.8 MB after a quarter of an hour to 238.1 at the end, with 18 threads and 5 open files throughout.

`streamtoon webcam` with its window, half an hour of 640x360 at 25 (`fast`): 220.6 MB after a minute, 220.7 at
the end; the window's own process 79 and 80; 13 and 6 threads, 6 open files each.

`python tests/serve_load.py 30`: eight WebRTC sessions on one `streamtoon serve` (`lite`), one of them killed.
The others go on at 15 pictures a second, its place is free after 15.7 s at most, and the server's memory is
back at 246, 245, 248 and 244 MB after the first to the fourth time.

## Long runs

`python tests/soak.py` converts an hour of video and fails where memory, open files or threads grow, or
where sound and pictures do not end with those of the source; the bounds stand at its top. A part's coded
pictures go to the disk one by one, so that memory does not depend on how large a part is.

An hour of 25 pictures a second at 192x108 with AAC sound, in MP4 (style `comic`, `lite`, two busy cores):
between the first part that is kept and the last, without the first fifth, memory grew from 232.3 to 233.0
MB, 1.2 for each hour of video. Open files are 6 or 7, threads 10 to 14, and sound and pictures end where
those of the source do. Reading adds nothing: PyAV alone, demultiplexing or decoding the same file, stays
where it was after the first pictures, for the table of all packets is there from the opening on.

While parts are joined, memory was at 280 MB at most, 47 more. PyAV alone, copying that file
into another while it has it open once before, takes 40 MB more with the index in front: 17 to 22 for
opening it a second time (258,843 packets), 12 for writing, and the rest for moving the index at the end.
"""


def main() -> None:
    """Write the table."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python tests/reliability.py OUT.md")
    lines = [HEAD]
    group = ""
    with opened() as cartoonizer:
        for case in CASES:
            if case.group != group:
                group = case.group
                lines += [f"\n## {group}\n", "| Case | Promised | Seen |", "|---|---|---|"]
            with tempfile.TemporaryDirectory() as folder:
                seen = run_case(case, Path(folder), cartoonizer)
            lines.append(f"| {case.name} | {case.promise.says} | {seen} |")
    lines.append(TAIL.rstrip())
    Path(sys.argv[1]).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
