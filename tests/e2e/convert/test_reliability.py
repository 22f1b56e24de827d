"""The corpus of bad input: what is promised for each case holds, and the table in the docs lists them all."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT
from reliability import BEGIN, END, opened, replace_cases, run_case
from reliability_cases import CASES
from reliability_promises import Case

from streamtoon import Cartoonizer

TABLE = ROOT / "docs" / "reliability.md"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes, sockets and devices as files")


@pytest.fixture(scope="module")
def cartoonizer() -> Iterator[Cartoonizer]:
    with opened() as ready:
        yield ready


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}: {case.name}")
def test_the_promise_holds(case: Case, tmp_path: Path, cartoonizer: Cartoonizer) -> None:
    run_case(case, tmp_path, cartoonizer)


def test_the_table_lists_exactly_these_cases() -> None:
    cases = TABLE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    rows = re.findall(r"^\| (?!Case )(.+?) \| (.+?) \| .+? \|$", cases, re.MULTILINE)
    assert rows == [(case.name, case.promise.says) for case in CASES]


def test_the_tables_take_the_place_of_the_old_ones() -> None:
    assert (
        replace_cases(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
        == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    )
    with pytest.raises(ValueError, match="write both into it"):
        replace_cases("no such part", "new")
