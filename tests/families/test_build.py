"""A target that cannot be built is named with the reason."""

from __future__ import annotations

import pytest
import torch

from topograph.config.models import Target
from topograph.families.build import build, build_model
from topograph.foundation.errors import ConfigError, TopographError

MLP = {"inputs": 2, "outputs": 1, "width": 3, "depth": 1}


def test_a_short_name_and_its_dotted_path_build_the_same_thing() -> None:
    short = build("problem", Target(target="convection", kwargs={"beta": 3.0}))
    dotted = "topograph.problems.convection:Convection"
    assert short == build("problem", Target(target=dotted, kwargs={"beta": 3.0}))


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_package.models:Net", "No module named 'no_such_package'"),
        ("topograph.models.mlp:Mlp", "has no attribute 'Mlp'"),
    ],
)
def test_a_target_that_cannot_be_imported_is_named(target: str, reason: str) -> None:
    with pytest.raises(TopographError, match="cannot be imported") as error:
        build("model", Target(target=target))
    assert repr(target) in str(error.value)
    assert reason in str(error.value)


def test_an_unknown_short_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'convection'"):
        build("problem", Target(target="convektion"))


@pytest.mark.parametrize(
    ("target", "kwargs"),
    [("mlp", {**MLP, "wdith": 3}), ("mlp", {}), ("wide-resnet", {"depth": 11, "width": 1})],
)
def test_refused_arguments_are_shown(target: str, kwargs: dict[str, int]) -> None:
    with pytest.raises(TopographError, match=f"model '{target}' does not accept") as error:
        build("model", Target(target=target, kwargs=kwargs))
    assert str(kwargs) in str(error.value)


def test_initial_weights_depend_on_the_seed_alone_and_move_no_global_generator() -> None:
    target = Target(target="mlp", kwargs=MLP)
    before = torch.get_rng_state()
    first, again, other = (build_model(target, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)
