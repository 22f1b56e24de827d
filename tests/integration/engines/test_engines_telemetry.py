"""Libraries that report themselves do not find their reporter."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from engines.common.telemetry import PACKAGE, without_telemetry


def test_the_reporter_is_not_found_inside_and_not_hidden_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    with without_telemetry(), pytest.raises(ModuleNotFoundError):
        __import__(PACKAGE)
    assert PACKAGE not in sys.modules
    with pytest.raises(ZeroDivisionError), without_telemetry():
        _ = 1 / 0
    assert PACKAGE not in sys.modules


def test_a_callers_own_reporter_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = ModuleType(PACKAGE)
    monkeypatch.setitem(sys.modules, PACKAGE, theirs)
    with without_telemetry():
        assert sys.modules[PACKAGE] is theirs
    assert sys.modules[PACKAGE] is theirs
