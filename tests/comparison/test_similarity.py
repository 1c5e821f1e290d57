"""Networks whose likeness is known by construction, or computed by hand."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, parametrizations

import topograph as tg
from topograph.comparison.similarity import cka, layer_cka, minibatch_cka, similarity
from topograph.foundation.errors import TopographError
from topograph.models.mlp import MLP
from topograph.models.unet import UNet
from topograph.models.wide_resnet import WideResNet


def mlp(seed: int, width: int = 12, depth: int = 2) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(*MLP(4, 3, width, depth)).eval()


def answering(bias: list[float]) -> nn.Module:
    """A classifier whose logits are its inputs plus a bias."""
    network = nn.Linear(3, 3).eval()
    with torch.no_grad():
        network.weight.copy_(torch.eye(3))
        network.bias.copy_(torch.tensor(bias))
    return network


def inputs(examples: int = 40, axes: int = 4) -> Tensor:
    return torch.randn(examples, axes, generator=torch.Generator().manual_seed(1))


class Backwards(nn.Module):
    """Modules listed in the opposite order of their calls; what the last was given is reused."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.never = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(6)
        self.stem = nn.Linear(4, 6)

    def hidden(self, x: Tensor) -> Tensor:
        return torch.tanh(self.norm(self.stem(x)))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.hidden(x)
        found = self.head(input=hidden).mul_(2)
        hidden.zero_()
        return found


class Broken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError(f"no use for {len(self.stem(x))} rows")


def hooks_of(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_a_model_is_like_itself() -> None:
    found = tg.similarity([mlp(0)], inputs())
    assert dict(found.sizes) == {"model": 1, "other": 1}
    assert found["cka"].item() == pytest.approx(1)
    for name in ("disagreement", "output_distance", "distance"):
        assert found[name].item() == 0
    assert found["layer"].values.tolist() == ["input of 4"]
    assert (found.attrs["examples"], found.attrs["mini_batches"]) == (40, 1)


def test_permuted_neurons_compute_the_same_from_other_weights() -> None:
    network = mlp(0)
    permuted, order = copy.deepcopy(network), torch.randperm(12)
    for layer in (permuted[0], permuted[2]):
        layer.weight.data, layer.bias.data = layer.weight.data[order], layer.bias.data[order]
    for layer in (permuted[2], permuted[4]):
        layer.weight.data = layer.weight.data[:, order]
    found = similarity([network, permuted], inputs())
    np.testing.assert_allclose(found["cka"], 1, atol=1e-12)
    np.testing.assert_array_equal(found["disagreement"], 0)
    np.testing.assert_allclose(found["output_distance"], 0, atol=1e-6)
    assert found["distance"][0, 1] > 1


def test_networks_of_other_seeds_differ_in_everything() -> None:
    networks = [mlp(seed) for seed in range(3)]
    found = similarity(networks, inputs())
    apart = ~np.eye(3, dtype=bool)
    for name, value in found.data_vars.items():
        np.testing.assert_allclose(value, value.values.T, rtol=1e-12, err_msg=str(name))
    assert (found["cka"].values[apart] < 0.95).all()
    for name in ("disagreement", "output_distance", "distance"):
        assert (found[name].values[apart] > 0).all()
        np.testing.assert_array_equal(np.diagonal(found[name]), 0)


def test_the_variables_are_those_computed_by_hand() -> None:
    networks, examples = [mlp(0), mlp(1)], inputs()
    found = similarity(networks, examples).isel(model=0, other=1)
    with torch.no_grad():
        hidden = [network[:4](examples) for network in networks]
        first, second = (network(examples) for network in networks)
    weights = [parameters_to_vector(network.parameters()).double() for network in networks]
    assert found["cka"] == pytest.approx(cka(*hidden))
    assert found["distance"] == pytest.approx(torch.dist(*weights).item())
    assert found["output_distance"] == pytest.approx(F.mse_loss(first, second).sqrt().item())
    assert found["disagreement"] == (first.argmax(1) != second.argmax(1)).double().mean()


def test_disagreement_is_the_share_of_labels_that_were_shifted() -> None:
    examples = torch.eye(3).repeat(5, 1)
    always, never = answering([9.0, 0.0, 0.0]), answering([0.0, 0.0, 0.0])
    shifted = answering([0.0, 0.0, 0.0])
    shifted.weight.data = shifted.weight.data.roll(1, 0)
    found = similarity([never, shifted, always], examples)["disagreement"]
    expected = [[0, 1, 2 / 3], [1, 0, 2 / 3], [2 / 3, 2 / 3, 0]]
    np.testing.assert_allclose(found, expected)


def test_outputs_that_are_no_classes_have_a_distance_and_no_disagreement() -> None:
    torch.manual_seed(0)
    networks = [MLP(4, 1, 8, 1).eval() for _ in range(2)]
    with pytest.raises(TopographError, match=r"shape \(1,\) .*two classes or more.*has_classes="):
        similarity(networks, inputs())
    found = similarity(networks, inputs(), has_classes=False)
    assert found["disagreement"].isnull().all()
    assert found["output_distance"][0, 1] > 0


def test_pixels_are_classified_one_by_one() -> None:
    torch.manual_seed(0)
    networks = [UNet(1, 3, width=4, depth=2).eval() for _ in range(2)]
    images = torch.randn(5, 1, 8, 8)
    found = similarity(networks, images)
    with torch.no_grad():
        first, second = (network(images).argmax(1) for network in networks)
    assert found["disagreement"][0, 1] == pytest.approx((first != second).double().mean().item())
    assert found["layer"].values.tolist() == ["input of head"] * 2


def test_mini_batches_are_accumulated() -> None:
    networks, examples = [mlp(0), mlp(1)], inputs()
    batches = [examples[:16], examples[16:32], examples[32:]]
    whole, found = similarity(networks, examples), similarity(networks, iter(batches))
    for name in ("disagreement", "output_distance", "distance"):
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-6)
    with torch.no_grad():
        hidden = [tuple(network[:4](b) for network in networks) for b in batches]
    assert found["cka"][0, 1] == pytest.approx(minibatch_cka(hidden))
    assert (found.attrs["examples"], found.attrs["mini_batches"]) == (40, 3)


def test_other_architectures_are_compared_without_a_distance_of_parameters() -> None:
    torch.manual_seed(0)
    others = [mlp(0, width=20), Backwards().eval(), nn.Linear(4, 3).double().eval()]
    found = similarity([mlp(0), *others], inputs())
    apart = ~np.eye(4, dtype=bool)
    assert np.isnan(found["distance"].values[apart]).all()
    np.testing.assert_array_equal(np.diagonal(found["distance"]), 0)
    for name in ("cka", "disagreement", "output_distance"):
        assert np.isfinite(found[name]).all()
    assert found["layer"].values.tolist() == ["input of 4"] * 2 + ["input of head", "input"]


def test_the_last_layer_is_the_one_that_runs_last() -> None:
    torch.manual_seed(0)
    networks, examples = [Backwards().eval() for _ in range(2)], inputs()
    with torch.no_grad():
        hidden = [network.hidden(examples) for network in networks]
    assert similarity(networks, examples)["cka"][0, 1] == pytest.approx(cka(*hidden))


def test_a_parametrized_layer_is_the_last_as_a_plain_one_is() -> None:
    network = mlp(0)
    network[4] = nn.Linear(12, 3, bias=False).eval()
    parametrized = copy.deepcopy(network)
    parametrizations.weight_norm(parametrized[4]).eval()
    found = similarity([network, parametrized], inputs())
    assert found["layer"].values.tolist() == ["input of 4"] * 2
    np.testing.assert_allclose(found["cka"], 1)


def test_named_layers_are_compared_by_what_they_return() -> None:
    network, deep, examples = mlp(0), mlp(1, depth=3), inputs()
    with torch.no_grad():
        first, second, deeper = network[:1](examples), deep[:1](examples), deep[:4](examples)
    found = similarity([network, deep], examples, layers="0")
    assert found["cka"][0, 1] == pytest.approx(cka(first, second))
    found = similarity([network, deep], examples, layers=["0", "3"])
    assert found["cka"][0, 1] == pytest.approx(cka(first, deeper))
    assert found["layer"].values.tolist() == ["0", "3"]


def test_an_activation_in_place_does_not_reach_back_into_a_layer() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 9), nn.ReLU(inplace=True), nn.Linear(9, 3)).eval()
    found = layer_cka(network, network, inputs(), ["0", "1"])
    with torch.no_grad():
        linear = network[0](inputs())
    assert found.loc["0", "1"] == pytest.approx(cka(linear, linear.relu()))
    assert found.loc["0", "1"] < 0.99


def test_a_map_of_layers_holds_the_cka_of_each_with_each() -> None:
    shallow, deep = mlp(0), mlp(1, depth=3)
    names, others = ["0", "1", "3"], ["1", "3", "5", "6"]
    batches = [inputs()[:20], inputs()[20:]]
    found = layer_cka(shallow, deep, batches, names, others=others)
    assert (found.name, found.dims) == ("cka_layers", ("layer", "layer_other"))
    for name, other in itertools.product(names, others):
        single = similarity([shallow, deep], batches, layers=[name, other])["cka"][0, 1]
        assert found.loc[name, other] == pytest.approx(single.item())


def test_a_map_of_layers_of_a_model_with_itself_has_ones_on_its_diagonal() -> None:
    torch.manual_seed(0)
    network = WideResNet(10, 1, in_channels=1).eval()
    names = ["stem", "blocks.0.conv1", "blocks.2", "norm", "head"]
    found = layer_cka(network, network, torch.randn(8, 1, 8, 8), names)
    np.testing.assert_allclose(np.diagonal(found), 1)
    np.testing.assert_allclose(found, found.values.T)


def test_a_diverged_network_is_unlike_all_and_the_others_stay() -> None:
    networks = [mlp(0), mlp(1), mlp(2)]
    healthy = similarity([networks[0], networks[2]], inputs())
    networks[1][0].weight.data[0, 0] = torch.nan
    found = similarity(networks, inputs())
    for name in found.data_vars:
        assert found[name][1].isnull().all() and found[name][:, 1].isnull().all()
        kept = found[name].values[np.ix_([0, 2], [0, 2])]
        np.testing.assert_allclose(kept, healthy[name])


def test_models_and_generators_come_back_unchanged() -> None:
    torch.manual_seed(0)
    network = WideResNet(10, 1, in_channels=1).eval()
    network.stem.requires_grad_(False)
    before = copy.deepcopy(network)
    state = torch.get_rng_state()
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    similarity([network, network], images)
    similarity([network], images, layers="norm")
    layer_cka(network, network, images, ["stem", "norm"])
    assert torch.equal(torch.get_rng_state(), state)
    assert hooks_of(network) == 0 and not any(m.training for m in network.modules())
    for (name, own), old in zip(network.named_parameters(), before.parameters(), strict=True):
        assert own.requires_grad == old.requires_grad == (name != "stem.weight")
        assert own.grad is None and own.is_leaf and torch.equal(own, old)
    for own, old in zip(network.buffers(), before.buffers(), strict=True):
        assert torch.equal(own, old)


def test_hooks_of_others_stay_and_ours_go_when_a_model_fails() -> None:
    network, calls = Broken().eval(), []
    network.stem.register_forward_hook(lambda *_: calls.append(1))
    for layers in (None, "stem"):
        with pytest.raises(RuntimeError, match="no use for 40 rows"):
            similarity([network], inputs(), layers=layers)
        assert hooks_of(network) == 1
    assert len(calls) == 2


def test_the_result_is_a_file_like_any_other(tmp_path) -> None:
    found = similarity([mlp(0), mlp(1)], inputs())
    found.to_netcdf(tmp_path / "similarity.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "similarity.nc"), found)


@pytest.mark.parametrize("models", [[], mlp(0), {"a": mlp(0)}], ids=["none", "one", "mapping"])
def test_models_must_be_a_sequence_of_modules(models) -> None:
    with pytest.raises(TopographError, match="allowed: a sequence of one module or more; pass"):
        similarity(models, inputs())


def test_a_model_in_training_mode_is_refused() -> None:
    network = Backwards().eval()
    network.norm.train()
    with pytest.raises(TopographError, match=r"model 1 is in training mode \(norm\).*model\.eval"):
        similarity([mlp(0), network], inputs())


def test_an_unknown_layer_is_answered_with_the_nearest() -> None:
    network = Backwards().eval()
    with pytest.raises(TopographError, match=r"layer of model 0 'heat' \(did you mean 'head'\?\)"):
        similarity([network], inputs(), layers="heat")
    with pytest.raises(TopographError, match=r"layer of model 1 'stern' \(did you mean 'stem'\?\)"):
        layer_cka(network, network, inputs(), ["head"], others=["stern"])
    with pytest.raises(TopographError, match="no layer is named; allowed: one or more of head"):
        layer_cka(network, network, inputs(), [])
    with pytest.raises(TopographError, match="layers has 2 names for 1 models; allowed: one name"):
        similarity([network], inputs(), layers=["head", "stem"])


def test_a_layer_that_does_not_run_is_refused() -> None:
    with pytest.raises(TopographError, match="layer 'never' of model 0 is not called"):
        similarity([Backwards().eval()], inputs(), layers="never")
    with pytest.raises(TopographError, match="model 0 runs no module that has parameters"):
        similarity([nn.Sequential(nn.Tanh()).eval()], inputs())


@pytest.mark.parametrize(
    ("network", "layers", "message"),
    [
        (nn.LSTM(4, 3, batch_first=True), None, "model 0: its output is a tuple for 6 examples"),
        (nn.Sequential(nn.Flatten(0, 1), nn.Linear(4, 3)), None, r"input of 1 is a Tensor of .*30"),
    ],
)
def test_what_has_no_row_for_each_example_is_refused(network, layers, message: str) -> None:
    with pytest.raises(TopographError, match=message):
        similarity([network.eval()], torch.randn(6, 5, 4), layers=layers)


def test_outputs_of_other_shapes_are_refused() -> None:
    with pytest.raises(TopographError, match=r"models 0 and 2 give outputs of shapes \(3,\) and"):
        similarity([mlp(0), mlp(1), nn.Linear(4, 2).eval()], inputs())


def test_targets_among_the_inputs_are_refused() -> None:
    with pytest.raises(TopographError, match=r"of shapes \(4,\) and \(\).*without targets"):
        similarity([mlp(0)], (inputs(), torch.zeros(40)))
    with pytest.raises(TopographError, match=r"a mini-batch is a tuple; .*without targets"):
        similarity([mlp(0)], [(inputs(), torch.zeros(40))])


def test_a_mini_batch_of_fewer_than_four_examples_or_none_at_all_is_refused() -> None:
    with pytest.raises(TopographError, match="a mini-batch has 3 examples; allowed: 4 or more"):
        similarity([mlp(0)], [inputs(), inputs(3)])
    with pytest.raises(TopographError, match="there is no mini-batch; allowed: one or more"):
        similarity([mlp(0)], [])
