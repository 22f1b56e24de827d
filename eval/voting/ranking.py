"""From picks to a ranking: how likely each candidate is to be picked when all are shown, with intervals.

A pick of one out of several follows Luce (1959): candidate i is picked out of the set S with probability
w_i / sum_{j in S} w_j, which for two is Bradley and Terry (1952). The strengths w are scaled to add up to 1,
so w_i is the probability of a pick where all candidates are shown. Hunter (2004), "MM algorithms for
generalized Bradley-Terry models", Annals of Statistics 32(1), fits them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eval.scoring.results import Interval

if TYPE_CHECKING:
    from eval.voting.vote_log import Vote

Floats = NDArray[np.float64]

PRIOR = 0.5
"""Picks lent to each candidate, out of the whole set (Jeffreys' prior where all are always shown): it keeps
strengths above 0 and unique, and moves a share of 150 votes by less than 0.4 points."""
RESAMPLES = 2000
_Z = 1.959963984540054
_ROUNDS, _CLOSE = 10_000, 1e-10


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """One candidate's place."""

    name: str
    strength: float
    """Probability of a pick where all candidates are shown, 0..1."""
    interval: Interval
    picks: int
    share: float
    """`picks` over all votes, 0..1."""
    by_reviewer: dict[str, int]
    leads: bool
    """The first, or not told apart from it at 95 %."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates, strongest first."""

    standings: tuple[RankedCandidate, ...]
    reviewers: dict[str, int]
    """Votes cast by each."""
    votes: int
    pictures: int

    @property
    def answer(self) -> str:
        """The outcome in one sentence."""
        if not self.votes:
            return "Nobody has voted yet."
        leading = [standing.name for standing in self.standings if standing.leads]
        if len(leading) == 1:
            return f"{leading[0]} is picked most often, and the votes tell it apart from the others."
        names = f"{', '.join(leading[:-1])} and {leading[-1]}"
        return f"The votes do not tell {names} apart yet."


def fit(shown: NDArray[np.bool_], picks: Floats, prior: float = PRIOR) -> Floats:
    """The strengths, ... x K, that make the picks most likely; they add up to 1.

    `shown` (S x K) says who was in each of S sets, `picks` (... x S x K) how often who was picked out of it.
    With `prior` 0 a candidate without picks gets 0, and where the sets do not link all candidates the answer
    is one of many.
    """
    count = shown.shape[1]
    sets = np.concatenate([shown, np.ones((1, count), bool)]).astype(np.float64)
    lent = np.full((*picks.shape[:-2], 1, count), prior)
    picks = np.concatenate([picks, lent], axis=-2)
    wins, contests = picks.sum(-2), picks.sum(-1)
    strengths = np.full(wins.shape, 1 / count)
    for _ in range(_ROUNDS):
        total = strengths @ sets.T
        per_strength = np.divide(contests, total, out=np.zeros_like(total), where=contests > 0) @ sets
        better = np.divide(wins, per_strength, out=np.zeros_like(wins), where=wins > 0)
        better /= better.sum(-1, keepdims=True)
        moved = np.abs(better - strengths).max()
        strengths = better
        if moved < _CLOSE:
            break
    return strengths


def rank(votes: Iterable[Vote], *, resamples: int = RESAMPLES, seed: int = 0) -> Ranking:
    """Ranks by the votes that count: one for each reviewer and photo, none of them taken back.

    Intervals are percentiles of a bootstrap that draws pictures, each with all its votes: reviewers agree
    about a picture more than chance would have it, and drawing votes one by one would take three reviewers of
    one picture for three pictures. They speak for other pictures before these reviewers, and are never
    narrower than Wilson's (1927) for as many independent votes, which holds where a bootstrap does not: few
    votes, or a candidate that nobody or everybody picks.
    """
    table = _Table(list(votes))
    if not table.votes:
        return Ranking((), {}, 0, 0)
    strengths = fit(table.shown, table.picks.sum(0))
    rng = np.random.default_rng(seed)
    pictures = len(table.photos)
    weights = rng.multinomial(pictures, np.full(pictures, 1 / pictures), size=resamples).astype(np.float64)
    replicates = fit(table.shown, np.einsum("bp,psk->bsk", weights, table.picks))
    low, high = np.quantile(replicates, (0.025, 0.975), axis=0)
    picks, met = table.picks.sum((0, 1)), table.picks.sum((0, 2)) @ table.shown
    order = sorted(range(len(table.names)), key=lambda k: (-strengths[k], table.names[k]))
    standings = []
    for k in order:
        narrowest = _wilson(float(strengths[k]), float(met[k]))
        standings.append(
            RankedCandidate(
                table.names[k],
                float(strengths[k]),
                Interval(min(float(low[k]), narrowest.low), max(float(high[k]), narrowest.high)),
                int(picks[k]),
                float(picks[k] / len(table.votes)),
                {name: table.picked(name, table.names[k]) for name in table.reviewers},
                table.level(order[0], k, replicates),
            )
        )
    return Ranking(tuple(standings), table.reviewers, len(table.votes), pictures)


class _Table:
    """The votes as arrays."""

    def __init__(self, votes: list[Vote]) -> None:
        self.votes = votes
        self.names = sorted({name for vote in votes for name in vote.shown})
        self.photos = sorted({vote.photo for vote in votes})
        self.reviewers: dict[str, int] = {}
        sets = sorted({tuple(sorted(vote.shown)) for vote in votes})
        self.shown = np.array([[name in chosen for name in self.names] for chosen in sets], dtype=bool)
        self.picks = np.zeros((len(self.photos), len(sets), len(self.names)))
        column = {name: k for k, name in enumerate(self.names)}
        row = {photo: p for p, photo in enumerate(self.photos)}
        for vote in votes:
            place = row[vote.photo], sets.index(tuple(sorted(vote.shown))), column[vote.pick]
            self.picks[place] += 1
            self.reviewers[vote.reviewer] = self.reviewers.get(vote.reviewer, 0) + 1

    def picked(self, reviewer: str, name: str) -> int:
        return sum(vote.reviewer == reviewer and vote.pick == name for vote in self.votes)

    def level(self, first: int, other: int, replicates: Floats) -> bool:
        """Whether the votes fail to tell the two apart: by the bootstrap, or by the exact sign test."""
        ahead = replicates[:, first] - replicates[:, other]
        both = self.picks.sum(0)[self.shown[:, first] & self.shown[:, other]].sum(0)
        return (
            first == other
            or bool(np.quantile(ahead, 0.025) <= 0)
            or _sign_test(int(both[first]), int(both[other])) > 0.05
        )


def _wilson(share: float, count: float) -> Interval:
    """Wilson's interval of a share seen in `count` independent votes."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _sign_test(a: int, b: int) -> float:
    """How often a fair coin lies so far from half, both ways."""
    few, total = min(a, b), a + b
    return min(1.0, sum(math.comb(total, k) for k in range(few + 1)) / math.ldexp(1, total - 1))
