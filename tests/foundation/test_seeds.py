"""Streams of random numbers: apart for each purpose, stable, and without touching torch's own."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from topograph.foundation.seeds import derive_seed, torch_seed

roots = st.integers(0, 2**32 - 1)
words = st.text(min_size=1, max_size=8)
purposes = st.lists(words | st.integers(0, 1000), max_size=3).map(tuple)


@given(root=roots, first=purposes, second=purposes)
def test_different_purposes_have_different_seeds(root, first, second):
    assert (derive_seed(root, *first) == derive_seed(root, *second)) == (first == second)


@given(root=roots, other=roots, purpose=purposes)
def test_different_roots_have_different_seeds(root, other, purpose):
    assert (derive_seed(root, *purpose) == derive_seed(other, *purpose)) == (root == other)


@given(root=roots, purpose=purposes)
def test_a_seed_fits_torch_and_numpy(root, purpose):
    seed = derive_seed(root, *purpose)
    assert 0 <= seed < 2**63
    torch.Generator().manual_seed(seed)


def test_seeds_are_those_of_earlier_results():
    # Results name only their root seed: a change of these numbers changes every result.
    assert derive_seed(0, "initial weights") == 3_556_472_758_367_489_346
    assert derive_seed(1, "batches", 3) == 4_414_989_916_801_025_537


def test_torchs_generator_is_seeded_inside_and_restored_after():
    state = torch.get_rng_state()
    with torch_seed(5):
        first = torch.randn(4)
    assert torch.equal(torch.get_rng_state(), state)
    torch.randn(3)
    with torch_seed(5):
        assert torch.equal(torch.randn(4), first)
    with torch_seed(6):
        assert not torch.equal(torch.randn(4), first)


def test_torchs_generator_is_restored_after_an_exception():
    state = torch.get_rng_state()
    try:
        with torch_seed(5):
            torch.randn(4)
            raise RuntimeError
    except RuntimeError:
        pass
    assert torch.equal(torch.get_rng_state(), state)
