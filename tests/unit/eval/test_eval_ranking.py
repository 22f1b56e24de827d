"""Rankings against closed forms, a direct fit, and simulated reviewers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from eval.voting.ranking import fit, rank
from eval.voting.vote_log import Vote


def _votes(rows: Sequence[tuple[str, str, str]], shown: tuple[str, ...]) -> list[Vote]:
    return [Vote("", reviewer, photo, pick, shown, "") for reviewer, photo, pick in rows]


def _direct_fit(shown: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """Maximum likelihood by a general optimiser over log strengths, the first held at 0."""
    optimize = pytest.importorskip("scipy.optimize")

    def loss(free: np.ndarray) -> float:
        logs = np.concatenate([[0.0], free])
        return -sum(
            picks[s, k] * (logs[k] - np.log(np.exp(logs[shown[s]]).sum()))
            for s, k in itertools.product(*map(range, picks.shape))
            if picks[s, k]
        )

    logs = np.concatenate([[0.0], optimize.minimize(loss, np.zeros(shown.shape[1] - 1), tol=1e-12).x])
    return np.exp(logs) / np.exp(logs).sum()


def test_two_candidates_are_picked_by_their_shares() -> None:
    shown = np.ones((1, 2), bool)
    assert fit(shown, np.array([[30.0, 10.0]]), prior=0) == pytest.approx([0.75, 0.25], abs=1e-12)
    assert fit(shown, np.array([[30.0, 10.0]]), prior=0.5) == pytest.approx([30.5 / 41, 10.5 / 41], abs=1e-9)


def test_the_fit_is_the_most_likely_one_for_sets_of_different_candidates() -> None:
    shown = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]], bool)
    picks = np.array([[9, 4, 3, 2], [5, 6, 0, 0], [0, 8, 3, 0], [4, 0, 2, 7]], float)
    assert fit(shown, picks, prior=0) == pytest.approx(_direct_fit(shown, picks), abs=1e-5)
    many = fit(shown, np.stack([picks, 2 * picks]), prior=0)
    assert many[1] == pytest.approx(many[0], abs=1e-8)


def test_strengths_behind_simulated_picks_are_found_again() -> None:
    truth = np.array([0.4, 0.3, 0.2, 0.1])
    dice = np.random.default_rng(3)
    shown = np.array(
        [[k in chosen for k in range(4)] for n in (2, 3) for chosen in itertools.combinations(range(4), n)]
    )
    picks = np.stack([dice.multinomial(4000, np.where(row, truth, 0) / truth[row].sum()) for row in shown])
    assert fit(shown, picks.astype(float)) == pytest.approx(truth, abs=0.01)


def test_the_papers_table_comes_out_of_its_votes() -> None:
    table = {
        "Gan v1": (6, 5, 7), "Gan v2": (6, 10, 9), "Base": (3, 2, 6), "v3": (17, 14, 10),
        "v4": (8, 13, 5), "v5": (3, 2, 1), "v6": (7, 4, 12),
    }  # fmt: skip
    rows = []
    for reviewer in range(3):
        picks = [name for name, counts in table.items() for _ in range(counts[reviewer])]
        rows += [(f"Reviewer{reviewer + 1}", f"{n}.png", pick) for n, pick in enumerate(picks)]
    ranking = rank(_votes(rows, tuple(table)))
    assert ranking.votes == 150
    assert ranking.reviewers == {"Reviewer1": 50, "Reviewer2": 50, "Reviewer3": 50}
    assert [one.name for one in ranking.standings] == ["v3", "v4", "Gan v2", "v6", "Gan v1", "Base", "v5"]
    for one in ranking.standings:
        assert tuple(one.by_reviewer.values()) == table[one.name]
        assert one.share == pytest.approx(sum(table[one.name]) / 150)
        assert one.strength == pytest.approx((one.picks + 0.5) / 153.5, abs=1e-9)
        assert one.interval.low < one.strength < one.interval.high


def test_a_candidate_that_is_never_picked_has_a_finite_place_and_an_interval_down_to_zero() -> None:
    ranking = rank(_votes([("a", f"{n}", "x") for n in range(20)], ("x", "y")))
    first, last = ranking.standings
    assert (first.name, first.leads, last.picks, last.leads) == ("x", True, 0, False)
    assert 0 < last.strength < 0.03 and last.interval.low == pytest.approx(0, abs=0.005)
    assert 0.1 < last.interval.high < 0.25  # Wilson: 0.161 for 0 of 20
    assert ranking.answer.startswith("x is picked most often")


def test_one_vote_decides_nothing_and_no_vote_is_no_ranking() -> None:
    ranking = rank(_votes([("a", "1", "x")], ("x", "y")))
    assert all(one.leads for one in ranking.standings)
    assert "do not yet distinguish x and y" in ranking.answer
    assert ranking.standings[0].interval.high - ranking.standings[0].interval.low > 0.5
    assert rank([]).answer == "There are no votes yet."


def test_intervals_hold_the_truth_also_where_reviewers_agree_about_a_picture() -> None:
    dice = np.random.default_rng(11)
    truth, inside, count = np.array([0.5, 0.3, 0.2]), 0, 120
    for _ in range(count):
        # One draw for each picture, repeated by two reviewers of three: far from independent votes.
        own = [dice.choice(3, p=truth) for _ in range(40)]
        rows = [
            (reviewer, f"{n}", "abc"[pick if reviewer != "3" else dice.choice(3, p=truth)])
            for n, pick in enumerate(own)
            for reviewer in "123"
        ]
        places = {one.name: one for one in rank(_votes(rows, ("a", "b", "c")), resamples=300).standings}
        inside += sum(
            places[n].interval.low <= p <= places[n].interval.high for n, p in zip("abc", truth, strict=True)
        )
    assert 0.91 < inside / (3 * count) < 0.99
