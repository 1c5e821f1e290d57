"""CKA against the U-statistics by brute force, and the laws that it obeys."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from topograph.comparison.similarity import cka, minibatch_cka
from topograph.foundation.errors import TopographError


def cloud(seed: int, examples: int = 8, axes: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((examples, axes))


def related(seed: int, examples: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Two representations that share some of their axes."""
    both = cloud(seed, examples, 9)
    return both[:, :6], both[:, 3:]


def hsic_by_hand(first: np.ndarray, second: np.ndarray) -> float:
    """The U-statistic of order four: a mean over all ordered choices of four examples."""
    k, l = first @ first.T, second @ second.T  # noqa: E741
    terms = [
        k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q])
        for i, j, q, r in itertools.permutations(range(len(k)), 4)
    ]
    return float(np.mean(terms))


def biased_cka(first: np.ndarray, second: np.ndarray) -> float:
    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.linalg.norm((a - a.mean(axis=0)).T @ (b - b.mean(axis=0))) ** 2)

    return hsic(first, second) / math.sqrt(hsic(first, first) * hsic(second, second))


@pytest.mark.parametrize("examples", [4, 5, 6, 7, 8])
def test_cka_is_a_ratio_of_u_statistics(examples: int) -> None:
    first, second = related(examples, examples)
    found = cka(first, second)
    norms = hsic_by_hand(first, first) * hsic_by_hand(second, second)
    assert found == pytest.approx(hsic_by_hand(first, second) / math.sqrt(norms))


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(1e-30, 1e30),
    shift=st.floats(-1e3, 1e3),
    examples=st.integers(4, 20),
)
def test_rotation_scale_origin_and_order_change_nothing(
    seed: int, scale: float, shift: float, examples: int
) -> None:
    first, second = related(seed, examples)
    draw = np.random.default_rng(seed)
    turned = scale * (first @ ortho_group.rvs(6, random_state=draw) + shift)
    assert cka(first, turned) == pytest.approx(1)
    order = draw.permutation(examples)
    assert cka(turned[order], second[order]) == pytest.approx(cka(first, second), abs=1e-8)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), examples=st.integers(4, 20), axes=st.integers(1, 60))
def test_cka_is_symmetric_between_minus_1_and_1_and_1_with_itself(
    seed: int, examples: int, axes: int
) -> None:
    first, second = cloud(seed, examples, axes), cloud(seed + 1, examples, 3)
    found = cka(first, second)
    assert abs(found) < 1
    assert found == pytest.approx(cka(second, first))
    assert cka(first, first) == pytest.approx(1, abs=1e-14)


def test_a_linear_map_that_is_no_rotation_is_seen() -> None:
    first = cloud(0, 30)
    assert cka(first, first * [10, 1, 1, 1, 1]) < 0.9


def test_over_all_orders_of_the_examples_cka_is_0_on_average() -> None:
    first, second = related(3, 5)
    orders = itertools.permutations(range(5))
    assert np.mean([cka(first[list(o)], second) for o in orders]) == pytest.approx(0, abs=1e-14)


def test_independent_representations_have_no_cka_on_average_where_the_biased_one_has() -> None:
    pairs = [(cloud(2 * i, 16, 200), cloud(2 * i + 1, 16, 300)) for i in range(300)]
    found = np.array([cka(*pair) for pair in pairs])
    assert abs(found.mean()) < 3 * found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean()) < 0.02
    assert np.mean([biased_cka(*pair) for pair in pairs[:20]]) > 0.9


def test_axes_after_the_first_are_flattened_and_tensors_are_arrays() -> None:
    first, second = cloud(0, 9, 24), cloud(1, 9, 1)
    images = torch.from_numpy(first).reshape(9, 2, 3, 4).requires_grad_()
    assert cka(images, second[:, 0]) == pytest.approx(cka(first, second))
    assert cka(first.astype(np.float32), second) == pytest.approx(cka(first, second), abs=1e-6)


def test_a_far_origin_costs_few_digits() -> None:
    first, second = related(0, 12)
    assert cka(first + 1e6, second - 1e6) == pytest.approx(cka(first, second), rel=1e-8)


def test_what_little_tells_near_equal_distances_apart_is_seen() -> None:
    signal = cloud(0, 12)
    assert cka(np.hstack([np.eye(12), 1e-5 * signal]), signal) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_very_small_and_very_large_numbers_are_no_matter(scale: float) -> None:
    first, second = related(0)
    assert cka(scale * first, scale * second) == pytest.approx(cka(first, second))


def test_one_mini_batch_is_the_whole() -> None:
    first, second = related(0)
    assert minibatch_cka([(first, second)]) == cka(first, second)


def test_mini_batches_of_all_choices_of_examples_give_the_cka_of_all() -> None:
    """A U-statistic is the mean of itself over all subsets: over all shuffles nothing is lost."""
    first, second = related(0)
    subsets = [list(chosen) for chosen in itertools.combinations(range(8), 5)]
    batches = [(first[s], second[s]) for s in subsets]
    assert minibatch_cka(batches) == pytest.approx(cka(first, second), rel=1e-12)
    assert abs(np.mean([cka(*b) for b in batches]) - cka(first, second)) > 0.005


def test_more_shuffles_come_nearer_to_the_cka_of_all() -> None:
    first, second = related(1, 60)
    whole, draw = cka(first, second), np.random.default_rng(0)
    orders = [draw.permutation(60) for _ in range(100)]
    batches = [
        [(first[o[i : i + 10]], second[o[i : i + 10]]) for i in range(0, 60, 10)] for o in orders
    ]
    single = np.std([minibatch_cka(few) - whole for few in batches])
    pooled = minibatch_cka(itertools.chain(*batches)) - whole
    assert abs(pooled) < 4 * single / np.sqrt(len(orders))


def test_mini_batches_count_by_their_length() -> None:
    first, second = related(2, 15)
    cuts = [slice(0, 4), slice(4, 9), slice(9, 15)]
    parts = [(first[c], second[c]) for c in cuts]

    def total(a: int, b: int) -> float:
        return sum(len(pair[0]) * hsic_by_hand(pair[a], pair[b]) for pair in parts)

    expected = total(0, 1) / math.sqrt(total(0, 0) * total(1, 1))
    assert minibatch_cka(parts) == pytest.approx(expected)


@pytest.mark.parametrize(
    "same",
    [
        np.tile(cloud(7, 1, 50), (10, 1)),
        np.eye(10) / 3,
        np.outer(np.arange(10) == 4, [0.1, 0.7, 5.0]) + 0.3,
        np.empty((10, 0)),
    ],
    ids=["constant", "equally far apart", "all but one", "without axes"],
)
def test_examples_without_order_among_them_have_no_cka(same: np.ndarray) -> None:
    assert math.isnan(cka(same, cloud(0, 10)))
    assert math.isnan(cka(same, same))
    assert minibatch_cka([(same, same), (cloud(0), cloud(0))]) == pytest.approx(1)


@pytest.mark.parametrize("examples", [0, 1, 3])
def test_fewer_than_four_examples_are_refused(examples: int) -> None:
    with pytest.raises(TopographError, match=f"has {examples} examples; allowed: 4 or more"):
        cka(np.ones((examples, 2)), np.ones((examples, 2)))


def test_representations_of_other_examples_are_refused() -> None:
    with pytest.raises(TopographError, match="of 8 and 7 examples; allowed: the same examples"):
        cka(cloud(0), cloud(0)[1:])


def test_representations_that_are_not_finite_are_refused() -> None:
    broken = cloud(0)
    broken[2, 1:3] = np.nan, np.inf
    with pytest.raises(TopographError, match=r"shape \(8, 5\) and 2 values that are not finite"):
        cka(cloud(0), broken)
    with pytest.raises(TopographError, match=r"shape \(\).*allowed: finite values \(n, …\)"):
        cka(1.0, 2.0)


def test_no_mini_batch_is_refused() -> None:
    with pytest.raises(TopographError, match="there is no mini-batch; allowed: one or more"):
        minibatch_cka([])
