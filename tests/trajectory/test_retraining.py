"""What retraining sees of the data, and batch norm after a jump."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from topograph.data.dataset import Dataset
from topograph.foundation.errors import TopographError
from topograph.models.wide_resnet import WideResNet
from topograph.trajectory.retraining import recalibrate, without


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


def test_recalibrated_buffers_are_the_statistics_of_the_data(
    few_digits: Callable[..., Dataset],
) -> None:
    torch.manual_seed(0)
    model = WideResNet(depth=10, width=1, in_channels=1)
    # One more than a batch of evaluation.
    inputs = few_digits().train_inputs.repeat(9, 1, 1, 1)[:513]
    norm = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    recalibrate(model, inputs)
    hook.remove()
    mean = torch.cat(seen).mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-4, atol=1e-6)
    assert norm.momentum == 0.1 and not model.training
    # In training mode a batch of all data is normalised alike.
    with torch.no_grad():
        after = model(inputs)
        torch.testing.assert_close(after, model.train()(inputs), rtol=0.05, atol=0.05)
