"""Rank candidates by picks: the probability that each is picked when all are shown, with intervals.

Picking one of several follows Luce (1959): candidate i is picked out of the set S with probability w_i /
sum_{j in S} w_j, which for two is Bradley and Terry (1952). The strengths w sum to 1, so w_i is the
probability of a pick when all candidates are shown. They are fitted as in Hunter (2004), "MM algorithms for
generalized Bradley-Terry models", Annals of Statistics 32(1).
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
"""Virtual picks of each candidate out of the whole set (Jeffreys' prior if all are always shown). They keep
strengths positive and unique, and change a share of 150 votes by less than 0.4 points.
"""
RESAMPLES = 2000
_Z = 1.959963984540054
_ROUNDS, _CLOSE = 10_000, 1e-10


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """One candidate in the ranking."""

    name: str
    strength: float
    """Probability of a pick when all candidates are shown, 0..1."""
    interval: Interval
    picks: int
    share: float
    """`picks` divided by all votes, 0..1."""
    by_reviewer: dict[str, int]
    leads: bool
    """The candidate is first, or cannot be distinguished from the first at 95 %."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates, strongest first."""

    standings: tuple[RankedCandidate, ...]
    reviewers: dict[str, int]
    """Number of votes by reviewer."""
    votes: int
    pictures: int

    @property
    def answer(self) -> str:
        """Return the result as one sentence."""
        if not self.votes:
            return "There are no votes yet."
        leading = [standing.name for standing in self.standings if standing.leads]
        if len(leading) == 1:
            return f"{leading[0]} is picked most often, and its lead is significant."
        names = f"{', '.join(leading[:-1])} and {leading[-1]}"
        return f"The votes do not yet distinguish {names}."


def fit(shown: NDArray[np.bool_], picks: Floats, prior: float = PRIOR) -> Floats:
    """Return the strengths, ... x K, that make the picks most likely. They sum to 1.

    `shown` (S x K) says which candidates were in each of S sets, `picks` (... x S x K) how often each was
    picked. If `prior` is 0, a candidate without picks gets 0, and the solution is not unique unless the sets
    link all candidates.
    """
    count = shown.shape[1]
    sets = np.concatenate([shown, np.ones((1, count), bool)]).astype(np.float64)
    virtual = np.full((*picks.shape[:-2], 1, count), prior)
    picks = np.concatenate([picks, virtual], axis=-2)
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
    """Rank by the votes that count: one per reviewer and photo, without those that were taken back.

    Intervals are percentiles of a bootstrap over photos, each with all of its votes. Reviewers agree on a
    photo more often than by chance, and a bootstrap over votes would take three reviewers of one photo for
    three photos. The intervals are valid for other photos rather than other reviewers. They are never
    narrower than Wilson's (1927) for as many independent votes, which is also valid for few votes, or for a
    candidate that is never or always picked.
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
        """Return whether the votes fail to distinguish two candidates, by the bootstrap or the exact sign
        test.
        """
        ahead = replicates[:, first] - replicates[:, other]
        both = self.picks.sum(0)[self.shown[:, first] & self.shown[:, other]].sum(0)
        return (
            first == other
            or bool(np.quantile(ahead, 0.025) <= 0)
            or _sign_test(int(both[first]), int(both[other])) > 0.05
        )


def _wilson(share: float, count: float) -> Interval:
    """Return Wilson's interval of a share in `count` independent votes."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _sign_test(a: int, b: int) -> float:
    """Return the two-sided probability that a fair coin is at least as uneven."""
    few, total = min(a, b), a + b
    return min(1.0, sum(math.comb(total, k) for k in range(few + 1)) / math.ldexp(1, total - 1))
