"""The tests behind verdicts against SciPy, counts by hand, and the laws that they keep."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from topograph.claims.statistics import (
    holm,
    rank_correlation,
    sign_flips,
    spearman,
    transition,
    two_groups,
    valley,
)
from topograph.foundation.errors import TopographError

DRAW = np.random.default_rng(1)
X, Y = DRAW.normal(size=7), DRAW.normal(size=7)
ONE = np.zeros(7)


def test_rank_correlation_of_one_stratum_is_scipys_exact_test() -> None:
    found = rank_correlation(X, Y, ONE)
    expected = stats.permutation_test(
        (Y,),
        lambda y: stats.spearmanr(X, y).statistic,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=10_000,
    )
    assert found.value == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.p_smallest == 1 / math.factorial(7) and found.n == 7


def test_strata_are_averaged_and_never_mixed() -> None:
    """Between the strata y falls with x; within each it rises."""
    x, y = np.arange(10.0), np.r_[np.arange(10, 15.0), np.arange(5.0)]
    strata = np.repeat([0, 1], 5)
    found = rank_correlation(x, y, strata)
    assert spearman(x, y) < 0 and found.value == 1
    assert found.p == found.p_smallest == 1 / math.factorial(5) ** 2
    assert found.low == pytest.approx(1) and found.high == pytest.approx(1)


def test_ties_and_strata_that_say_nothing() -> None:
    assert spearman([1, 1, 2, 3], [4, 4, 5, 1]) == pytest.approx(
        stats.spearmanr([1, 1, 2, 3], [4, 4, 5, 1]).statistic
    )
    few = rank_correlation([7.0, 7, 7, 1, 2], [5.0, 6, 8, 1, 2], [0, 0, 0, 1, 1])
    assert math.isnan(few.value) and few.n == 0


def test_a_stratum_in_which_nothing_rises_counts_against_the_rise() -> None:
    x, strata = [1.0, 2, 3, 4, 5] * 2, [0] * 5 + [1] * 5
    found = rank_correlation(x, [1.0, 2, 3, 4, 5] + [7.0] * 5, strata)
    assert found.value == 0.5 and found.n == 10
    flat = rank_correlation(x, [7.0] * 10, strata)
    assert flat[:3] == (0, 0, 0) and flat.n == 10
    # Whatever the order, nothing would have come out.
    assert flat.p == flat.p_smallest == 1


def test_ties_raise_the_smallest_p() -> None:
    """Of 5! orders of 1, 1, 1, 1, 2 a fifth has the 2 where it fits best."""
    found = rank_correlation(np.arange(5.0), [2.0, 1, 1, 1, 1], np.zeros(5))
    assert (found.p, found.p_smallest) == (1, 1 / 5)
    assert sign_flips([1.0, 2.0, 0.0]).p_smallest == 1 / 4
    assert two_groups([1.0, 1], [1.0, 2]).p_smallest == 1 / 2


def test_a_valley_rises_to_both_sides() -> None:
    x = np.arange(7.0)
    found = valley(x, np.abs(x - 3) + x / 10, 3)
    assert (found.value, found.n) == (1, 7)
    # The lowest stands at 3; of the others any 3 rise to the left, the rest to the right.
    assert found.p_smallest == pytest.approx(math.comb(6, 3) / math.factorial(7))
    assert found.p == found.p_smallest and found.low == pytest.approx(1)
    slope = valley(x, x, 3)
    assert slope.value == -1 and slope.p > 0.5
    # Without a unit beyond the place there is nothing to rise.
    assert math.isnan(valley(x, x, 0).value) and valley(x, x, 0).n == 7


def test_values_that_are_missing_leave_their_unit_out() -> None:
    assert rank_correlation([*X, np.nan], [*Y, 1.0], [0] * 8) == rank_correlation(X, Y, ONE)
    with pytest.raises(TopographError, match="samples of 7, 6, 7 units cannot be paired"):
        rank_correlation(X, Y[:6], ONE)


def test_many_units_are_drawn_and_p_is_never_zero() -> None:
    x = np.arange(30.0)
    found = rank_correlation(x, x, np.zeros(30))
    assert found.p == found.p_smallest == 1e-4


def test_sign_flips_are_scipys_paired_permutation_test() -> None:
    found = sign_flips(X + 0.4)
    expected = stats.permutation_test(
        (X + 0.4, ONE),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        alternative="greater",
        n_resamples=10_000,
    )
    assert found.p == pytest.approx(expected.pvalue)
    assert found.p_smallest == 1 / 128 and found.low < found.value < found.high


def test_two_groups_are_mann_and_whitneys_exact_test() -> None:
    first, second = X[:4] + 1, X[4:]
    found = two_groups(first, second)
    expected = stats.mannwhitneyu(first, second, alternative="greater", method="exact")
    assert found.p == pytest.approx(expected.pvalue)
    assert found.value == pytest.approx(expected.statistic / 12 - 0.5)
    assert two_groups([3.0, 4], [1.0, 2]).value == 0.5 and two_groups([1.0], []).n == 1


def test_holm_by_hand() -> None:
    found = holm([0.01, math.nan, 0.04, 0.03])
    assert found[0] == pytest.approx(0.03) and math.isnan(found[1])
    assert found[2:] == pytest.approx([0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_never_lowers(p: list[float]) -> None:
    found = holm(p)
    assert all(value <= adjusted <= 1 for value, adjusted in zip(p, found, strict=True))
    by_p = [found[i] for i in np.argsort(p, kind="stable")]
    assert by_p == sorted(by_p)


def test_a_transition_lies_between_the_last_success_and_the_next_setting() -> None:
    betas, errors = [10.0, 1, 2, 5], [0.9, 0.01, 0.3, 0.1]
    assert 10 ** transition(betas, errors, 0.17) == pytest.approx(math.sqrt(50))
    assert math.isnan(transition(betas, [1.0] * 4, 0.17))
    assert math.isnan(transition(betas, [0.0] * 4, 0.17))


@pytest.mark.parametrize("test", ["rank_correlation", "sign_flips", "two_groups"])
def test_p_is_no_smaller_than_chance_allows(test: str) -> None:
    """Of true null hypotheses at most 5 % may have p <= 0.05: here of 400, within 4 s.e."""
    draw = np.random.default_rng(7)
    p = []
    for _ in range(400):
        a, b = draw.normal(size=(2, 5))
        found = {
            "rank_correlation": lambda a=a, b=b: rank_correlation(a, b, np.zeros(5)),
            "sign_flips": lambda a=a: sign_flips(a),
            "two_groups": lambda a=a, b=b: two_groups(a[:4], b[:4]),
        }[test]()
        p.append(found.p)
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 400)
