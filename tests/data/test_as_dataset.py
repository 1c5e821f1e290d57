"""What a stranger's factory makes becomes a data set, or is named with what would do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset, TensorDataset

from topograph.data.dataset import PARTS, Dataset, as_dataset, sum_of
from topograph.foundation.errors import DataError


def arrays(count: int = 8, tested: int = 4) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    inputs, targets = draw.standard_normal((count + tested, 3)), np.arange(count + tested) % 3
    return [inputs[:count], targets[:count], inputs[count:], targets[count:]]


def changed(**parts: object) -> list[object]:
    return list({**dict(zip(PARTS, arrays(), strict=True)), **parts}.values())


def test_arrays_of_any_precision_become_float32_and_int64() -> None:
    made = changed(train_targets=(np.arange(8) % 3).astype(np.uint8))
    made[3] = np.array([0, 1, 2, 3], dtype=np.uint8)
    dataset = as_dataset(tuple(made), "mine")
    assert dataset.train_inputs.dtype == dataset.test_inputs.dtype == torch.float32
    assert dataset.train_targets.dtype == torch.int64
    np.testing.assert_allclose(dataset.train_inputs, arrays()[0], rtol=1e-6)
    assert dataset.classes == ("0", "1", "2", "3")
    assert dataset.has_classes
    assert dataset.augmentation is None


def test_targets_that_are_no_whole_numbers_are_no_classes() -> None:
    dataset = as_dataset(changed(train_targets=np.ones((8, 1)), test_targets=np.ones((4, 1))), "x")
    assert not dataset.has_classes
    assert dataset.classes == ()
    assert dataset.train_targets.dtype == torch.float32


def test_two_torch_data_sets_are_stacked() -> None:
    inputs, targets, others, labels = (torch.as_tensor(array) for array in arrays())
    made = TensorDataset(inputs, targets), TensorDataset(others, labels)
    whole, stacked = as_dataset(arrays(), "a"), as_dataset(made, "b")
    assert all(torch.equal(getattr(whole, name), getattr(stacked, name)) for name in PARTS)


def test_items_may_be_pairs_of_an_array_and_a_number() -> None:
    train = [(np.zeros((1, 2, 2), dtype=np.float32), 1), (np.ones((1, 2, 2), dtype=np.float32), 0)]
    dataset = as_dataset((train, train[:1]), "mine")
    assert dataset.train_inputs.shape == (2, 1, 2, 2)
    assert dataset.train_targets.tolist() == [1, 0]


def test_a_data_set_of_ours_is_taken_as_it_is() -> None:
    dataset = as_dataset(arrays(), "mine")
    assert as_dataset(dataset, "again") is dataset


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (None, r"mine made NoneType; allowed: a topograph\.data\.dataset\.Dataset; four arrays"),
        ("text", "mine made str"),
        (arrays()[:3], "mine made list of 3"),
        ((Endless(), Endless()), "a data set of type Endless has no length"),
        (([(0.0,)], [(0.0,)]), "items are not pairs"),
        (([(object(), 1)], [(object(), 1)]), "items are not pairs"),
        (changed(train_inputs=[object()]), "train_inputs is list, no array of numbers"),
        (changed(train_inputs=np.ones((8, 3), dtype=complex)), "train_inputs are complex128"),
        (changed(train_inputs=np.ones((8, 3), dtype=np.uint8)), "uint8; .*scale images to floats"),
        (changed(train_targets=np.zeros(7, dtype=int)), "8 train_inputs came with 7 train_targets"),
        (changed(test_inputs=np.ones((4, 5))), r"\(3,\) each, test_inputs .* \(5,\);"),
        (changed(test_targets=np.ones(4)), "train_targets are torch.int64 .* torch.float32"),
        (changed(test_inputs=np.ones((0, 3))), r"test_inputs holds no examples"),
        (changed(train_inputs=np.full((8, 3), np.nan)), "train_inputs holds NaN or infinity"),
    ],
)
def test_what_is_no_data_is_named_with_what_would_do(made: object, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        as_dataset(made, "mine")
    assert str(raised.value).startswith("mine")


def test_the_sum_names_exactly_these_data() -> None:
    first, again = as_dataset(arrays(), "a"), as_dataset(arrays(), "b")
    assert first.sum == again.sum
    assert len(first.sum) == 64
    moved = arrays()
    moved[2][0, 0] += 1e-3
    assert as_dataset(moved, "c").sum != first.sum
    flat = np.zeros((2, 3))
    assert len({sum_of([flat]), sum_of([flat.T]), sum_of([flat.astype(np.float32)])}) == 3


def test_a_data_set_made_by_hand_needs_only_its_tensors() -> None:
    zeros, labels = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
    assert Dataset(zeros, labels, zeros, labels, classes=("one",)).has_classes
