"""The objective equals the model's own loss, whatever the batches, and leaves the model alone."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import accuracy, make_batch, make_network, stacked
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.models.unet import UNet
from topograph.objective.model import Ratio
from topograph.objective.objective import Objective


def test_the_loss_is_the_models_own_in_evaluation_mode() -> None:
    network, (inputs, targets) = make_network(), make_batch()
    objective = Objective.from_model(network, F.cross_entropy, (inputs, targets))
    reference = copy.deepcopy(network).eval()
    expected = F.cross_entropy(reference(inputs), targets)
    torch.testing.assert_close(objective.loss(objective.center), expected, rtol=1e-6, atol=0)


def test_a_model_in_training_mode_is_refused_before_any_evaluation() -> None:
    def never(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the loss was evaluated")

    with pytest.raises(TopographError, match=r"the model is in training mode.*call model.eval\(\)"):
        Objective.from_model(make_network().train(), never, make_batch())
    network = make_network()
    network[1].train()
    with pytest.raises(TopographError, match=r"in training mode \(1\)"):
        Objective.from_model(network, never, make_batch())


def test_metrics_are_evaluated_beside_the_loss() -> None:
    network, (inputs, targets) = make_network(), make_batch()
    objective = Objective.from_model(
        network, F.cross_entropy, (inputs, targets), metrics={"accuracy": accuracy}
    )
    point = {name: value[None] for name, value in objective.center.items()}
    expected = accuracy(copy.deepcopy(network).eval()(inputs), targets)
    metrics = objective.metrics(point)
    assert set(metrics) == {"accuracy"}
    assert metrics["accuracy"].tolist() == pytest.approx([expected.item()])
    assert objective.losses(point).tolist() == pytest.approx(
        [objective.loss(objective.center).item()]
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=11, unique=True))
def test_the_loss_does_not_depend_on_how_the_data_are_cut(cuts: list[int]) -> None:
    network, (inputs, targets) = make_network(), make_batch()
    whole = Objective.from_model(network, F.cross_entropy, (inputs, targets))
    borders = sorted({0, 12, *cuts})
    pieces = [(inputs[a:b], targets[a:b]) for a, b in pairwise(borders)]
    cut = Objective.from_model(network, F.cross_entropy, pieces)
    for dtype, rtol in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        center = whole.at(dtype).center
        torch.testing.assert_close(cut.loss(center), whole.loss(center), rtol=rtol, atol=0)


def test_an_iterator_and_a_data_loader_serve_as_batches() -> None:
    network, (inputs, targets) = make_network(), make_batch()
    expected = Objective.from_model(network, F.cross_entropy, (inputs, targets)).digest
    data = torch.utils.data.TensorDataset(inputs, targets)
    loader = torch.utils.data.DataLoader(data, batch_size=12)
    for batches in (iter([(inputs, targets)]), loader, next(iter(loader))):
        objective = Objective.from_model(network, F.cross_entropy, batches)
        assert objective.digest == expected
        assert torch.equal(objective.loss(objective.center), objective.loss(objective.center))


def test_a_loaders_pair_of_two_examples_is_one_batch() -> None:
    inputs, targets = torch.randn(2, 2), torch.randn(2, 1)
    network = nn.Linear(2, 1).eval()
    objective = Objective.from_model(network, F.mse_loss, [inputs, targets])
    expected = F.mse_loss(network(inputs), targets)
    torch.testing.assert_close(objective.loss(objective.center), expected)


def test_the_users_model_and_torchs_generator_stay_as_they_were() -> None:
    network = make_network()
    network[0].weight.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    modes = [module.training for module in network.modules()]
    frozen = [parameter.requires_grad for parameter in network.parameters()]
    generator = torch.get_rng_state()
    objective = Objective.from_model(network, F.cross_entropy, make_batch())
    objective.losses(stacked(objective, 3))
    objective.loss(objective.center)
    _ = objective.digest
    assert torch.equal(torch.get_rng_state(), generator)
    assert [module.training for module in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == frozen
    assert all(parameter.grad is None for parameter in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_objective_does_not_follow_later_changes_of_the_model() -> None:
    network = make_network()
    objective = Objective.from_model(network, F.cross_entropy, make_batch())
    before = objective.loss(objective.center)
    with torch.no_grad():
        network[5].weight.zero_()
    assert torch.equal(objective.loss(objective.center), before)
    assert objective.at(torch.float64).center["5.weight"].any()


@pytest.mark.parametrize("batches", [[], iter([]), make_batch(0), [make_batch(0)]])
def test_data_without_an_example_are_refused(batches: object) -> None:
    with pytest.raises(TopographError, match="no examples in"):
        Objective.from_model(make_network(), F.cross_entropy, batches)


def test_an_empty_batch_among_others_weighs_nothing() -> None:
    network = nn.Linear(2, 1).eval()
    full = (torch.randn(4, 2), torch.randn(4, 1))
    empty = (torch.zeros(0, 2), torch.zeros(0, 1))
    one = Objective.from_model(network, F.mse_loss, full)
    two = Objective.from_model(network, F.mse_loss, [full, empty])
    assert torch.equal(one.loss(one.center), two.loss(one.center))


def test_a_loss_that_is_not_a_scalar_is_refused_with_its_shape() -> None:
    def each(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs, targets, reduction="none")

    with pytest.raises(TopographError, match=r"loss has shape \(12,\), a scalar is needed"):
        Objective.from_model(make_network(), each, make_batch())
    with pytest.raises(TopographError, match=r"each has shape \(12, 4\), a scalar or one axis"):
        Objective.from_model(
            make_network(),
            F.cross_entropy,
            make_batch(),
            metrics={"each": lambda outputs, _: outputs},
        )


@pytest.mark.parametrize("kind", ["convolutions", "unet", "linear"])
def test_the_stacked_and_the_in_place_engine_agree(kind: str) -> None:
    if kind == "unet":
        torch.manual_seed(0)
        network = UNet(1, 3, width=2, depth=2).eval()
        data = (torch.randn(2, 1, 4, 4), torch.randint(0, 3, (2, 4, 4)))
    elif kind == "linear":
        network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).eval()
        data = (torch.randn(6, 3), torch.randint(0, 4, (6,)))
    else:
        network, data = make_network(), make_batch()
    objective = Objective.from_model(network, F.cross_entropy, data, metrics={"right": accuracy})
    assert objective.engine == ("stacked" if kind == "linear" else "in-place")
    for dtype, rtol in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        points = stacked(objective, 5, dtype)
        one, other = (objective.evaluate(points, engine=e) for e in ("stacked", "in-place"))
        assert set(one) == set(other) == {"loss", "right"}
        torch.testing.assert_close(one["loss"], other["loss"], rtol=rtol, atol=0)
        torch.testing.assert_close(one["right"], other["right"])
        assert one["loss"].unique().numel() == 5


def test_the_loss_is_differentiable_with_the_models_gradient() -> None:
    network, (inputs, targets) = make_network(), make_batch()
    objective = Objective.from_model(network, F.cross_entropy, (inputs, targets))
    point = {name: value.clone().requires_grad_() for name, value in objective.center.items()}
    objective.loss(point).backward()
    reference = copy.deepcopy(network).eval()
    F.cross_entropy(reference(inputs), targets).backward()
    for name, parameter in reference.named_parameters():
        torch.testing.assert_close(point[name].grad, parameter.grad, rtol=1e-4, atol=1e-6)


def test_one_evaluation_of_a_batch_of_points_holds_no_graph() -> None:
    objective = Objective.from_model(make_network(), F.cross_entropy, make_batch())
    assert not objective.losses(stacked(objective, 2)).requires_grad


def test_the_digest_changes_with_the_parameters_and_with_the_data() -> None:
    inputs, targets = make_batch()
    original = Objective.from_model(make_network(), F.cross_entropy, (inputs, targets))
    same = Objective.from_model(make_network(), F.cross_entropy, (inputs.clone(), targets))
    assert original.digest == same.digest
    assert len(original.digest) == 12
    moved = make_network()
    with torch.no_grad():
        moved[5].bias[0] += 1e-6
    shifted = inputs.clone()
    shifted[0, 0, 0, 0] += 0.1
    others = [
        Objective.from_model(moved, F.cross_entropy, (inputs, targets)),
        Objective.from_model(make_network(), F.cross_entropy, (shifted, targets)),
        Objective.from_model(make_network(), F.cross_entropy, (inputs, targets.roll(1))),
    ]
    assert len({original.digest, *(other.digest for other in others)}) == 4


def counts(outputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    one_hot = F.one_hot(outputs.argmax(1), 4), F.one_hot(targets, 4)
    return one_hot[0] * one_hot[1], one_hot[0] | one_hot[1]


def overlap(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return counts(outputs, targets)[0].double().mean(dim=0)


def union(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return counts(outputs, targets)[1].double().mean(dim=0)


@pytest.mark.parametrize("engine", ["stacked", "in-place"])
@pytest.mark.parametrize("kind", ["convolutions", "linear"])
def test_a_ratio_per_class_does_not_depend_on_how_the_data_are_cut(engine: str, kind: str) -> None:
    network, (inputs, targets) = make_network(), make_batch()
    if kind == "linear":
        network, inputs = nn.Linear(16, 4).eval(), inputs.flatten(1)
    cut = [(inputs[:5], targets[:5]), (inputs[5:], targets[5:])]
    metrics = {"iou": Ratio(overlap, union)}
    found = []
    for batches in ((inputs, targets), cut):
        objective = Objective.from_model(network, F.cross_entropy, batches, metrics=metrics)
        found.append(objective.evaluate(stacked(objective, 3), engine=engine)["iou"])
    assert found[0].shape == (3, 4)
    torch.testing.assert_close(*found, equal_nan=True)
    point = {name: value[1] for name, value in stacked(objective, 3).items()}
    predicted = functional_call(network, point, (inputs,)).argmax(1)
    inside = (predicted == 2) & (targets == 2)
    either = (predicted == 2) | (targets == 2)
    torch.testing.assert_close(found[0][1, 2].item(), (inside.sum() / either.sum()).item())


def test_labels_to_be_ignored_and_soft_targets_keep_torchs_meaning() -> None:
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).eval()
    inputs = torch.randn(6, 3)
    soft = torch.rand(6, 4).softmax(dim=1)
    for targets in (torch.tensor([0, 1, -100, 3, 2, -100]), soft):
        objective = Objective.from_model(network, F.cross_entropy, (inputs, targets))
        points = stacked(objective, 3)
        expected = [
            F.cross_entropy(
                functional_call(network, {k: v[p] for k, v in points.items()}, (inputs,)), targets
            )
            for p in range(3)
        ]
        torch.testing.assert_close(objective.losses(points), torch.stack(expected))


def test_a_model_may_return_what_its_loss_understands() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 4)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"logits": self.norm(self.conv(x)).flatten(1)}

    def loss(outputs: dict[str, torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs["logits"], targets)

    network = Named().eval()
    inputs, targets = make_batch()
    objective = Objective.from_model(network, loss, (inputs, targets))
    found = objective.losses({k: v[None] for k, v in objective.center.items()})
    torch.testing.assert_close(found[0], loss(network(inputs), targets).detach())


@pytest.mark.parametrize("engine", ["stacked", "in-place"])
def test_convolutions_of_volumes_are_models_too(engine: str) -> None:
    network = nn.Sequential(
        nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 3)
    ).eval()
    inputs, targets = torch.randn(4, 1, 2, 2, 2), torch.arange(4) % 3
    objective = Objective.from_model(network, F.cross_entropy, (inputs, targets))
    found = objective.evaluate({k: v[None] for k, v in objective.center.items()}, engine=engine)
    expected = F.cross_entropy(network(inputs), targets)
    torch.testing.assert_close(found["loss"][0], expected.detach())


def test_a_metric_cannot_take_the_name_of_the_loss() -> None:
    with pytest.raises(TopographError, match="a metric is named 'loss'; give it another name"):
        Objective.from_model(
            make_network(), F.cross_entropy, make_batch(), metrics={"loss": accuracy}
        )


def test_an_engine_that_does_not_exist_is_answered_with_the_nearest() -> None:
    objective = Objective.from_model(make_network(), F.cross_entropy, make_batch())
    with pytest.raises(TopographError, match=r"unknown engine 'stackd' \(did you mean 'stacked'"):
        objective.evaluate(stacked(objective, 1), engine="stackd")
