"""What else the loss at a point may be: batch norm recalibrated there, weight decay added."""

from __future__ import annotations

import copy

import pytest
import torch
from small_models import make_batch, make_network, stacked
from torch import nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.objective.objective import Objective


def test_recalibrated_batch_norm_normalises_by_the_data_at_each_point() -> None:
    network, (inputs, targets) = make_network(), make_batch()
    objective = Objective.from_model(
        network, F.cross_entropy, (inputs, targets), batch_norm="recalibrated"
    )
    points = stacked(objective, 3, torch.float64)
    reference = copy.deepcopy(network).double()
    reference[1].train()
    for p, found in enumerate(objective.losses(points)):
        with torch.no_grad():
            for name, parameter in reference.named_parameters():
                parameter.copy_(points[name][p])
        expected = F.cross_entropy(reference(inputs.double()), targets)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    cut = [(inputs[:5], targets[:5]), (inputs[5:], targets[5:])]
    other = Objective.from_model(network, F.cross_entropy, cut, batch_norm="recalibrated")
    torch.testing.assert_close(other.losses(points), objective.losses(points))
    centre = Objective.from_model(network, F.cross_entropy, (inputs, targets))
    assert (centre.losses(points) - objective.losses(points)).abs().min() > 1e-4


def test_recalibration_makes_the_loss_blind_to_the_scale_before_a_norm() -> None:
    network = make_network()
    with torch.no_grad():
        network[0].bias.zero_()
    objective = Objective.from_model(
        network, F.cross_entropy, make_batch(), batch_norm="recalibrated"
    )
    center = objective.at(torch.float64).center
    scaled = {**center, "0.weight": 50 * center["0.weight"]}
    torch.testing.assert_close(objective.loss(scaled), objective.loss(center), rtol=1e-3, atol=0)


def test_an_unknown_batch_norm_policy_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        TopographError, match=r"unknown batch_norm 'center' \(did you mean 'centre'"
    ):
        Objective.from_model(make_network(), F.cross_entropy, make_batch(), batch_norm="center")


@pytest.mark.parametrize("kind", ["convolutions", "linear"])
def test_weight_decay_adds_half_the_squared_norm_that_the_optimiser_saw(kind: str) -> None:
    network, data = make_network(), make_batch()
    if kind == "linear":
        network, data = nn.Linear(3, 4).eval(), (torch.randn(6, 3), torch.randint(0, 4, (6,)))
    objective = Objective.from_model(network, F.cross_entropy, data, weight_decay=0.1)
    plain = Objective.from_model(network, F.cross_entropy, data)
    points = stacked(objective, 3, torch.float64)
    norm = sum(value.square().flatten(1).sum(dim=1) for value in points.values())
    for engine in ("stacked", "in-place"):
        found = objective.evaluate(points, engine=engine)
        torch.testing.assert_close(found["data_loss"], plain.losses(points), rtol=1e-12, atol=0)
        torch.testing.assert_close(
            found["loss"], plain.losses(points) + 0.05 * norm, rtol=1e-12, atol=0
        )


def test_the_decay_of_chosen_parameters_counts_the_others_too() -> None:
    network = make_network()
    whole = Objective.from_model(network, F.cross_entropy, make_batch(), weight_decay=0.1)
    part = whole.restricted("5.*")
    torch.testing.assert_close(part.loss(part.center), whole.loss(whole.center))
    points = stacked(part, 2, torch.float64)
    one, other = (part.evaluate(points, engine=e)["loss"] for e in ("stacked", "in-place"))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)
