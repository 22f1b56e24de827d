"""Styles that are looks: over a shared network, with one of their own, and as a file that a user writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fields_styles import LOOK, save_look, save_network
from typer.testing import CliRunner

from engines.untrusted.folder_validator import file_sha256

pytest.importorskip("torch", reason="the extra `torch` is not installed")

from engines.errors import StyleError
from engines.importing.importer import ImportOptions, add_style, remove_style
from engines.looks.look import DEFAULT, Look, look_keys
from engines.quantization.nncf_ptq import quantize_style
from engines.registry import style as style_module
from engines.registry.style import CARD, GRAPH, LITE, WEIGHTS, load_style
from streamtoon.cli.app import app


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks") / "shared"
    save_network(folder)
    save_network(folder / LITE, seed=1)
    return folder


@pytest.fixture
def styles(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of shipped styles: `bold` and `soft` over one network."""
    monkeypatch.setattr("engines.registry.style.NETWORKS", network.parent)
    monkeypatch.setattr("engines.registry.style.SHIPPED", tmp_path / "shipped")
    style_module._network.cache_clear()
    save_look(tmp_path / "shipped" / "bold", "shared", LOOK)
    save_look(tmp_path / "shipped" / "soft", "shared", {"levels": 0, "palette": "#000000 #ffffff"})
    return tmp_path / "shipped"


def write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def test_a_look_takes_from_its_network_what_its_card_leaves_out(styles: Path, network: Path) -> None:
    style = load_style("bold")
    assert (style.name, style.title, style.folder) == ("bold", "Bold", styles / "bold")
    assert (style.network, style.network_folder, style.generator) == ("shared", network, "fields-lite")
    assert (style.weights, style.graph) == (network / WEIGHTS, network / GRAPH)
    assert (style.working_height, style.licence, style.attribution) == (128, "Apache-2.0", "nobody")
    assert [data.name for data in style.data] == ["nothing"]
    assert style.look == Look(levels=5, hardness=0.6, line_density=1.2)
    assert style.channels == (24, 40)
    assert style.shipped
    assert style.lite is not None
    assert (style.lite.name, style.lite.look, style.lite.network) == ("bold", style.look, "shared")
    assert style.lite.weights == network / LITE / WEIGHTS
    assert style.lite.sha256 != style.sha256
    assert style.lite.lite is None


def test_a_networks_files_are_read_once_for_all_its_styles(
    styles: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    style_module._network.cache_clear()
    read: list[Path] = []
    whole = file_sha256

    def reading(file: Path) -> str:
        read.append(file)
        return whole(file)

    monkeypatch.setattr("engines.registry.style.file_sha256", reading)
    assert [style.name for style in style_module.available_styles()] == ["bold", "soft"]
    load_style("bold")
    assert sorted(read) == sorted(network / part / file for part in ("", LITE) for file in (WEIGHTS, GRAPH))


def test_a_stranger_may_draw_with_a_shipped_network(styles: Path, tmp_path: Path) -> None:
    style = save_look(tmp_path / "mine", "shared", LOOK)
    assert style.shipped  # nothing of it but numbers is the stranger's


def test_a_style_may_have_a_network_of_its_own_and_a_look(tmp_path: Path) -> None:
    style = save_network(tmp_path / "own", look=LOOK)
    assert style.look == Look(**LOOK)  # type: ignore[arg-type]
    assert (style.network, style.network_folder) == ("", tmp_path / "own")
    assert not style.shipped
    assert (style.radius, style.eps, style.lines) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ('network = "shared"', 'network = "other"', "unknown network other; choose one of: shared"),
        ('network = "shared"', 'network = "../shared"', "allowed is the name of a shared network"),
        ("levels = 5", "levels = 500", r"look\.levels is 500; allowed is a whole number from 0 to 16"),
        ("levels = 5", "lewels = 5", r"unknown key look\.lewels"),
        ("[look]", "parameters = 3\n[look]", "unknown key parameters"),
        ("[look]", "[luck]", "look is missing"),
    ],
)
def test_a_wrong_card_is_one_sentence(styles: Path, old: str, new: str, sentence: str) -> None:
    card = styles / "bold" / CARD
    text = card.read_text(encoding="utf-8")
    assert old in text
    write(card, text.replace(old, new))
    with pytest.raises(StyleError, match=sentence):
        load_style("bold")


def test_a_network_that_gives_pictures_is_not_shared(
    styles: Path, style_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.registry.style.NETWORKS", style_folder.parent)
    card = styles / "bold" / CARD
    write(card, card.read_text(encoding="utf-8").replace('"shared"', f'"{style_folder.name}"'))
    with pytest.raises(StyleError, match="its generator unet does not give fields"):
        load_style("bold")


def test_a_damaged_network_is_told(styles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.registry.style.NETWORKS", tmp_path / "damaged")
    save_network(tmp_path / "damaged" / "shared")
    (tmp_path / "damaged" / "shared" / WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(StyleError, match="is damaged: its checksum differs"):
        load_style("bold")


def test_a_shared_network_is_quantized_by_itself(styles: Path) -> None:
    with pytest.raises(StyleError, match="uses the shared network"):
        quantize_style(load_style("bold"), [])


def test_a_look_file_changes_some_keys_of_another_style(styles: Path, tmp_path: Path) -> None:
    look = f"[look]\nlevels = 3\nhardness = {DEFAULT.hardness}\n"
    file = write(tmp_path / "mine.toml", f'base = "bold"\ntitle = "Mine"\n{look}')
    for named in (file, str(file)):
        style = load_style(named)
        assert (style.name, style.title, style.description) == ("mine", "Mine", "")
        # hardness is given as what a look has by default, and still counts.
        assert style.look == Look(levels=3, hardness=DEFAULT.hardness, line_density=1.2)
        assert style.network == "shared"
        assert style.lite is not None and style.lite.look == style.look


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        ("mine", "[look]\nlevels = 3\n", "base is missing; allowed is the name of a style that is a look"),
        ("mine", 'base = "bold"\n', r"look is missing; allowed is a table \[look\]"),
        ("mine", 'base = "bald"\n[look]\n', "unknown style 'bald'"),
        ("mine", 'base = "bold"\n[look]\nlevels = 99\n', r"mine\.toml: look\.levels is 99; allowed is"),
        ("mine", 'base = "bold"\n[look]\nbold = 1\n', r"mine\.toml: unknown key look\.bold"),
        ("mine", 'base = "bold"\nlicence = "x"\n[look]\n', "unknown key licence"),
        ("My look", 'base = "bold"\n[look]\n', "must consist of lower-case"),
        ("mine", "base = ", "is not valid TOML"),
    ],
)
def test_a_wrong_look_file_is_one_sentence(
    styles: Path, tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    with pytest.raises(StyleError, match=sentence):
        load_style(write(tmp_path / f"{name}.toml", text))


def test_a_look_file_that_is_not_there_is_told(styles: Path, tmp_path: Path) -> None:
    for named in (tmp_path / "no.toml", str(tmp_path / "no.toml")):
        with pytest.raises(StyleError, match="is not a look: there is no such file"):
            load_style(named)


def test_a_picture_style_is_no_base(styles: Path, style_folder: Path, tmp_path: Path) -> None:
    (styles / "shaken").symlink_to(style_folder)
    with pytest.raises(StyleError, match="base is 'shaken', which has no look"):
        load_style(write(tmp_path / "mine.toml", 'base = "shaken"\n[look]\n'))


def test_a_look_file_is_kept_among_the_users_own(styles: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "mine.toml", 'base = "soft"\ntitle = "Mine"\n[look]\nlevels = 3\n')
    added = add_style(file, ImportOptions())
    try:
        assert added.style == load_style("mine")
        assert added.style.look == load_style(file).look == Look(levels=3, palette=("#000000", "#ffffff"))
        assert added.style.network == "shared"
        assert [each.name for each in added.style.folder.iterdir()] == [CARD]
        file.unlink()
        assert load_style("mine").title == "Mine"
        again = write(tmp_path / "again.toml", 'base = "mine"\n[look]\nlift = 1.0\n')
        assert load_style(again).look == Look(levels=3, palette=("#000000", "#ffffff"), lift=1.0)
    finally:
        remove_style("mine")


def test_a_look_over_a_network_of_the_users_own_is_kept_with_it(styles: Path, tmp_path: Path) -> None:
    save_network(tmp_path / "own", look=LOOK)
    save_network(tmp_path / "own" / LITE, seed=1)
    add_style(tmp_path / "own", ImportOptions(name="own"))
    file = write(tmp_path / "mine.toml", 'base = "own"\n[look]\nlevels = 3\n')
    try:
        add_style(file, ImportOptions())
        remove_style("own")
        style = load_style("mine")
        assert (style.name, style.network_folder) == ("mine", style.folder)
        assert style.look == Look(levels=3, hardness=0.6, line_density=1.2)
        assert style.lite is not None and style.lite.look == style.look
    finally:
        remove_style("mine")


def test_the_command_shows_a_look(styles: Path) -> None:
    shown = CliRunner().invoke(app, ["styles", "show", "bold"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    for key in look_keys():
        assert re.search(rf"^ ?[* ] {key.name}  .*{re.escape(key.text)}", shown.output, re.MULTILINE)
    assert "guided filter" not in shown.output
    facts = json.loads(CliRunner().invoke(app, ["styles", "show", "bold", "--json"]).stdout)
    assert facts["look"]["levels"] == 5
    assert "soft" in CliRunner().invoke(app, ["styles", "list"]).output
