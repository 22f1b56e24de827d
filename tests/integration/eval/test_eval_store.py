"""What is kept of pictures between runs, in a file that processes share and that may come to harm."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from paths import ROOT

from eval.features.store import FeatureStore, content_key, open_feature_store


def vector(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(2048, np.float32)


def test_the_key_is_pixels_shape_and_extractor() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    key = content_key(picture, "a")
    assert key == content_key(np.asfortranarray(picture), "a") and len(key) == 32
    others = [
        content_key(picture, "b"),
        content_key(picture.reshape(8, 6, 3), "a"),
        content_key(picture ^ (np.arange(144).reshape(6, 8, 3) == 143).astype(np.uint8), "a"),
    ]
    assert len({key, *others}) == 4


def test_kept_vectors_come_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with FeatureStore(path) as store:
        assert store.get(b"a") is None
        store.put([(b"a", vector(1)), (b"b", vector(2))])
    with FeatureStore(path) as store:
        for key, seed in ((b"a", 1), (b"b", 2)):
            got = store.get(key)
            assert got is not None and got.dtype == np.float32
            np.testing.assert_array_equal(got, vector(seed))
        assert store.get(b"c") is None


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    with FeatureStore(tmp_path / "s.sqlite", limit=400_000) as store:
        for n in range(30):
            store.put([(b"%d" % n, vector(n))])
        for n in range(30, 90):
            assert store.get(b"0") is not None
            store.put([(b"%d" % n, vector(n))])
        there = [n for n in range(90) if store.get(b"%d" % n) is not None]
    assert there[0] == 0 and there[-1] == 89 and 20 < len(there) < 60
    assert there[1:] == list(range(there[1], 90))
    assert (tmp_path / "s.sqlite").stat().st_size < 450_000


def _text(path: Path) -> None:
    path.write_bytes(b"this is no database " * 500)


def _torn(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def _another(path: Path) -> None:
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE features (name TEXT)")
    other.close()


@pytest.mark.parametrize("harm", [_text, _torn, _another])
def test_a_damaged_file_is_set_aside_and_started_again(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.sqlite"
    with FeatureStore(path) as store:
        store.put([(b"%d" % n, vector(n)) for n in range(50)])
    harm(path)
    with FeatureStore(path) as store:
        assert store.get(b"1") is None
        store.put([(b"1", vector(1))])
        np.testing.assert_array_equal(store.get(b"1"), vector(1))
    assert (tmp_path / "s.sqlite.damaged").is_file() and "s.sqlite was damaged" in caplog.text
    with FeatureStore(path) as store:
        np.testing.assert_array_equal(store.get(b"1"), vector(1))


def test_a_row_that_changed_on_the_disk_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with FeatureStore(path) as store:
        store.put([(b"a", vector(1)), (b"b", vector(2))])
    database = sqlite3.connect(path)
    database.execute(
        "UPDATE features SET value = (SELECT value FROM features WHERE key = ?) WHERE key = ?", (b"b", b"a")
    )
    database.commit()
    database.close()
    with FeatureStore(path) as store:
        assert store.get(b"a") is None and store.get(b"b") is not None


def test_where_nothing_can_be_kept_it_goes_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").mkdir()
    with FeatureStore(tmp_path / "folder") as store:
        store.put([(b"a", vector(1))])
        assert store.get(b"a") is None
    assert caplog.text.count("features are not kept between runs") == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ours = open_feature_store()
    assert ours is not None
    with ours:
        ours.put([(b"a", vector(1))])
    assert (tmp_path / "streamtoon" / "features" / "features.sqlite").is_file()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert open_feature_store() is None


def test_several_processes_and_threads_write_at_once(tmp_path: Path) -> None:
    code = """
import json, sys
from pathlib import Path
import numpy as np
from eval.features.store import FeatureStore
name = sys.argv[2].encode()
with FeatureStore(Path(sys.argv[1])) as store:
    for n in range(40):
        store.put([(name + b"%d" % n, np.full(2048, n, np.float32))])
    print(json.dumps(sum(store.get(name + b"%d" % n) is not None for n in range(40))))
"""
    path = tmp_path / "s.sqlite"
    root = ROOT
    runs = [
        subprocess.Popen([sys.executable, "-c", code, path, name], stdout=subprocess.PIPE, cwd=root)
        for name in ("x", "y")
    ]
    store = FeatureStore(path)
    threads = [threading.Thread(target=lambda n=n: store.put([(b"t%d" % n, vector(n))])) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in runs:
        out, _ = run.communicate(timeout=120)
        assert run.returncode == 0 and json.loads(out) == 40
    for key in [
        *(b"x%d" % n for n in range(40)),
        *(b"y%d" % n for n in range(40)),
        *(b"t%d" % n for n in range(8)),
    ]:
        assert store.get(key) is not None, key
    store.close()
    assert not list(tmp_path.glob("*.damaged"))
