"""Run the corpus and write what was seen into the page.

python tests/support/reliability.py docs/reliability.md
"""

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
from streamtoon.media.reader import opening

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
    error: str | None = None
    warnings: tuple[str, ...] = ()
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
    with (
        patch.object(opening, "OPEN_TIMEOUT_S", PATIENCE),
        Cartoonizer(strength=0, quality="lite") as cartoonizer,
    ):
        yield cartoonizer


BEGIN, END = "<!-- cases: made by tests/support/reliability.py -->", "<!-- /cases -->"
"""What stands around the tables in docs/reliability.md; the rest of the page is written by hand."""


def replace_cases(page: str, tables: str) -> str:
    """`page` with `tables` between the comments. Raises ValueError where they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no part between {BEGIN} and {END}; write both into it")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def main() -> None:
    """Write the tables."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python tests/support/reliability.py docs/reliability.md")
    page = Path(sys.argv[1])
    lines: list[str] = []
    group = ""
    with opened() as cartoonizer:
        for case in CASES:
            if case.group != group:
                group = case.group
                lines += [f"\n## {group}\n", "| Case | Promised | Seen |", "|---|---|---|"]
            with tempfile.TemporaryDirectory() as folder:
                seen = run_case(case, Path(folder), cartoonizer)
            lines.append(f"| {case.name} | {case.promise.says} | {seen} |")
    text = replace_cases(page.read_text(encoding="utf-8"), "\n".join(lines).strip())
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
