"""Which parameters an objective moves: all, those that match, shared ones together."""

from __future__ import annotations

import copy

import pytest
import torch
from small_models import accuracy, make_batch, make_network, stacked
from torch import nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.objective.objective import Objective


def test_frozen_parameters_are_absent_and_still_used() -> None:
    network, (inputs, targets) = make_network(), make_batch()
    network[0].requires_grad_(False)
    objective = Objective.from_model(network, F.cross_entropy, (inputs, targets))
    assert set(objective.center) == {"1.weight", "1.bias", "5.weight", "5.bias"}
    expected = F.cross_entropy(copy.deepcopy(network).eval()(inputs), targets)
    torch.testing.assert_close(objective.loss(objective.center), expected)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("5.*", ["5.weight", "5.bias"]),
        ("*.bias", ["0.bias", "1.bias", "5.bias"]),
        (["0.weight", "5.b*"], ["0.weight", "5.bias"]),
    ],
)
def test_patterns_select_parameters(patterns: str | list[str], names: list[str]) -> None:
    objective = Objective.from_model(
        make_network(), F.cross_entropy, make_batch(), parameters=patterns
    )
    assert list(objective.center) == names


def test_a_pattern_without_a_match_is_answered_with_the_names() -> None:
    with pytest.raises(TopographError, match=r"parameters='head.\*' selects none") as error:
        Objective.from_model(make_network(), F.cross_entropy, make_batch(), parameters="head.*")
    assert "5.weight" in str(error.value)


def test_a_model_whose_parameters_are_all_frozen_is_refused() -> None:
    network = make_network().requires_grad_(False)
    with pytest.raises(TopographError, match="none, all are frozen"):
        Objective.from_model(network, F.cross_entropy, make_batch())


def test_a_restricted_objective_moves_only_what_matches() -> None:
    whole = Objective.from_model(make_network(), F.cross_entropy, make_batch())
    part = whole.restricted(["5.weight", "1.*"])
    assert list(part.center) == ["1.weight", "1.bias", "5.weight"]
    same = Objective.from_model(
        make_network(), F.cross_entropy, make_batch(), parameters=["5.weight", "1.*"]
    )
    points = stacked(part, 2)
    torch.testing.assert_close(part.losses(points), same.losses(points))
    assert part.digest == same.digest != whole.digest
    with pytest.raises(TopographError, match="selects none"):
        part.restricted("0.*")


@pytest.mark.parametrize("frozen", [(), ("0.weight",), ("0.bias",), ("0.weight", "0.bias")])
@pytest.mark.parametrize("inputs", [3, 40])
def test_a_chain_equals_the_generic_path_whatever_moves(frozen: tuple, inputs: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(inputs, 5), nn.GELU(), nn.Linear(5, 4)).eval()
    for name in frozen:
        network.get_parameter(name).requires_grad_(False)
    data = [(torch.randn(n, inputs), torch.randint(0, 4, (n,))) for n in (6, 3)]
    objective = Objective.from_model(network, F.cross_entropy, data, metrics={"right": accuracy})
    points = stacked(objective, 70, torch.float64)
    one, other = (objective.evaluate(points, engine=e) for e in ("stacked", "in-place"))
    torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-14)
    alone = objective.losses({name: value[64:65] for name, value in points.items()})
    assert torch.equal(alone, one["loss"][64:65])


def test_shared_parameters_move_together_in_place() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = self.first

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(torch.tanh(self.first(x)))

    objective = Objective.from_model(
        Twice().eval(), F.mse_loss, (torch.randn(4, 3), torch.randn(4, 3))
    )
    points = stacked(objective, 3, torch.float64)
    one, other = (objective.evaluate(points, engine=e)["loss"] for e in ("stacked", "in-place"))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_a_wide_layer_that_comes_again_moves_as_a_whole() -> None:
    shared = nn.Linear(20, 20)
    network = nn.Sequential(shared, nn.Tanh(), shared).eval()
    objective = Objective.from_model(
        network, F.cross_entropy, (torch.randn(6, 20), torch.arange(6))
    )
    points = stacked(objective, 3, torch.float64)
    one, other = (objective.evaluate(points, engine=e)["loss"] for e in ("stacked", "in-place"))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)
