"""Suggestions for misspelled names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

MIN_SIMILARITY = 0.6
"""Lowest similarity of two words, 0 to 1, as difflib computes it."""
MAX_SIMILARITY_GAP = 0.2
"""How much lower than the best match's similarity another suggestion's may be."""


def close_matches(word: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the names in `known` most similar to `word`, the best first. Case does not matter."""
    from difflib import SequenceMatcher  # only for an error

    alike = {name: SequenceMatcher(None, word.lower(), name.lower()).ratio() for name in known}
    nearest = max(alike.values(), default=0.0)
    near = [
        name for name, ratio in alike.items() if ratio >= max(MIN_SIMILARITY, nearest - MAX_SIMILARITY_GAP)
    ]
    return sorted(near, key=lambda name: -alike[name])[:most]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question that suggests similar names, with a leading space; empty where none is similar."""
    found = close_matches(word, known)
    return f" Did you mean {' or '.join(found)}?" if found else ""


def unknown_name(kind: str, word: str, known: Collection[str]) -> str:
    """Return sentences without a full stop: the name is unknown, similar names, and the known names."""
    near = did_you_mean(word, known)
    return f"unknown {kind} {word!r}.{near} Known are {', '.join(known) or 'none'}"
