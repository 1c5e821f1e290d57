"""The objective equals the model's own loss, whatever the batches, and leaves the model alone."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.models.unet import UNet
from topograph.objective.model import Batch, Ratio
from topograph.objective.objective import Objective


def make_network() -> nn.Module:
    """A small network with batch norm, dropout and trained buffers, in evaluation mode."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(12, 4),
    )  # fmt: skip
    network[1].running_mean.normal_()
    network[1].running_var.uniform_(0.5, 2)
    return network.eval()


def make_batch(examples: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn((examples, 1, 4, 4), generator=generator)
    return inputs, torch.randint(0, 4, (examples,), generator=generator)


def accuracy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs.argmax(1) == targets).float().mean()


def stacked(objective: Objective, points: int, dtype: torch.dtype = torch.float32) -> dict:
    generator = torch.Generator().manual_seed(2)
    return {
        name: value.to(dtype) + 0.1 * torch.randn((points, *value.shape), generator=generator)
        for name, value in objective.center.items()
    }


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


def test_a_wide_layer_that_comes_again_moves_as_a_whole() -> None:
    shared = nn.Linear(20, 20)
    network = nn.Sequential(shared, nn.Tanh(), shared).eval()
    objective = Objective.from_model(
        network, F.cross_entropy, (torch.randn(6, 20), torch.arange(6))
    )
    points = stacked(objective, 3, torch.float64)
    one, other = (objective.evaluate(points, engine=e)["loss"] for e in ("stacked", "in-place"))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_a_metric_cannot_take_the_name_of_the_loss() -> None:
    with pytest.raises(TopographError, match="a metric is named 'loss'; give it another name"):
        Objective.from_model(
            make_network(), F.cross_entropy, make_batch(), metrics={"loss": accuracy}
        )


def test_an_engine_that_does_not_exist_is_answered_with_the_nearest() -> None:
    objective = Objective.from_model(make_network(), F.cross_entropy, make_batch())
    with pytest.raises(TopographError, match=r"unknown engine 'stackd' \(did you mean 'stacked'"):
        objective.evaluate(stacked(objective, 1), engine="stackd")
