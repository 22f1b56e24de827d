"""The corpus of bad input: what is promised for each case holds, and the table in the docs lists them all."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from reliability import TAIL, opened, run_case
from reliability_cases import CASES
from reliability_promises import Case

from streamtoon import Cartoonizer

TABLE = Path(__file__).parent.parent / "docs" / "reliability.md"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes, sockets and devices as files")


@pytest.fixture(scope="module")
def cartoonizer() -> Iterator[Cartoonizer]:
    with opened() as ready:
        yield ready


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}: {case.name}")
def test_the_promise_holds(case: Case, tmp_path: Path, cartoonizer: Cartoonizer) -> None:
    run_case(case, tmp_path, cartoonizer)


def test_the_table_lists_exactly_these_cases() -> None:
    cases = TABLE.read_text(encoding="utf-8").removesuffix(TAIL)  # which has tables of its own
    rows = re.findall(r"^\| (?!Case )(.+?) \| (.+?) \| .+? \|$", cases, re.MULTILINE)
    assert rows == [(case.name, case.promise.says) for case in CASES]
