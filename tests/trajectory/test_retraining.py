"""What retraining sees of the data."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from topograph.data.dataset import Dataset
from topograph.foundation.errors import TopographError
from topograph.trajectory.retraining import without


def test_held_out_examples_are_the_same_each_time_and_never_retrained_on(
    few_digits: Callable[..., Dataset],
) -> None:
    data = few_digits()
    first, second = without(data, 0.1), without(data, 0.1)
    count = len(data.train_inputs)
    assert len(first.train_inputs) == len(first.train_targets) == count - round(0.1 * count)
    assert torch.equal(first.train_inputs, second.train_inputs)
    assert torch.equal(first.test_inputs, data.test_inputs)
    assert without(data, 0.0) is data
    with pytest.raises(TopographError, match=r"held_out is 0.999 of .*; allowed: from 0"):
        without(data, 0.999)
