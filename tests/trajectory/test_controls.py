"""Controls of a total persistence: monotone transforms, extended pairs, permuted losses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topograph.foundation.errors import TopographError
from topograph.topology.persistence import persistence
from topograph.trajectory.controls import extended_totals, filtrations, permutation_null
from topograph.trajectory.homology import graph_homology, homology_statistics

PATH = np.column_stack([np.arange(79), np.arange(1, 80)])


def graph(seed: int, edges: int = 150) -> np.ndarray:
    draw = np.random.default_rng(seed)
    pairs = np.sort(draw.integers(0, 80, (edges, 2)), axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_monotone_transforms_keep_the_pairs(seed: int) -> None:
    edges, losses = graph(seed), np.random.default_rng(seed).exponential(1, 80)
    order = np.argsort(losses)
    found = []
    for values in filtrations(losses).values():
        pairs = graph_homology(edges, values).query("dim == 0").to_numpy()[:, 1:]
        places = np.searchsorted(values[order], np.where(np.isinf(pairs), np.nan, pairs))
        found.append(sorted(map(tuple, np.where(np.isinf(pairs), -1, places))))
    assert found[0] == found[1] == found[2]


def test_ranks_share_their_ties_and_losses_of_zero_have_no_logarithm() -> None:
    found = filtrations([0.0, 10.0, 10.0, 100.0])
    assert found["rank"].tolist() == [0.25, 0.625, 0.625, 1.0]
    assert np.isnan(found["log loss"][0]) and found["log loss"][1:].tolist() == [1, 1, 2]


def test_what_is_not_finite_has_no_place_in_any_filtration() -> None:
    for values in filtrations([3.0, np.inf, 1.0, np.nan, 2.0]).values():
        assert np.isfinite(values).tolist() == [True, False, True, False, True]
    assert filtrations([3.0, np.inf, 1.0])["rank"][[0, 2]].tolist() == [1.0, 0.5]


def test_extended_pairs_of_a_path_are_its_minima_its_maxima_and_its_range() -> None:
    values = np.array([0.0, 3.0, 1.0, 7.0, 2.0])
    found = extended_totals(PATH[:4], values)
    # Minima 1 (dies at 3) and 2 (at 7); the maximum 3 falls to 1; the whole is (0, 7).
    assert found == {"ordinary": 4 + 25, "relative": 4, "extended+": 49, "extended-": 0}


@pytest.mark.parametrize("seed", range(4))
def test_the_totals_are_those_of_gudhis_pairs(seed: int) -> None:
    edges, losses = graph(seed), np.random.default_rng(seed).exponential(1, 80)
    found = permutation_null(edges, losses, draws=9)
    assert found["finite"] == pytest.approx(
        homology_statistics(edges, losses)["total_persistence_finite"]
    )
    pairs = persistence(losses, edges=edges, extended=True).query("kind == 'relative'")
    relative = float(((pairs["death"] - pairs["birth"]) ** 2).sum())
    assert found["both"] - found["finite"] == pytest.approx(relative)


def test_losses_that_change_gently_along_the_graph_make_less_of_it_than_chance() -> None:
    gentle = np.sin(np.linspace(0, 4 * np.pi, 80)) + 2
    found = permutation_null(PATH, gentle, draws=199)
    assert found["both"] < found["both_null"] and found["both_p"] > 0.99
    # High and low by turns: no arrangement has more.
    rough = np.where(np.arange(80) % 2, 3.0, 1.0) + np.linspace(0, 1e-3, 80)
    found = permutation_null(PATH, rough, draws=199)
    assert found["finite_p"] == found["both_p"] == 1 / 200


def test_within_strata_of_one_nothing_can_be_permuted() -> None:
    losses = np.random.default_rng(0).exponential(1, 80)
    found = permutation_null(PATH, losses, np.arange(80), draws=19)
    assert found["finite_p"] == found["both_p"] == 1
    assert found["finite_null"] == pytest.approx(found["finite"])


def test_p_is_uniform_where_losses_are_drawn_alike() -> None:
    p = [
        permutation_null(PATH, np.random.default_rng(seed).random(80), draws=39, seed=seed)
        for seed in range(40)
    ]
    for name in ("finite_p", "both_p"):
        assert 0.35 < np.mean([row[name] for row in p]) < 0.65


def test_losses_that_are_not_finite_or_not_as_many_are_refused() -> None:
    with pytest.raises(TopographError, match="1 losses are not finite"):
        permutation_null(PATH, np.append(np.zeros(79), np.inf))
    with pytest.raises(TopographError, match="3 strata belong to 80 losses"):
        permutation_null(PATH, np.zeros(80), [0, 1, 2])
