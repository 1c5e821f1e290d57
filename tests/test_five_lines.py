"""A stranger's first five lines: own model, sample, tree, profile, picture."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib import pyplot as plt
from torch import nn

import topograph as tg
from topograph.plotting.profile import draw_profile


class Net(nn.Module):
    """A network that the package has never seen."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(2, 16), nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.sin(self.hidden(x)))


def test_five_lines_lead_from_a_model_to_a_picture(tmp_path: Path) -> None:
    model = Net()
    x = torch.rand(64, 2)
    y = (x[:, :1] * 6).sin()

    objective = tg.Objective.from_model(model.eval(), nn.functional.mse_loss, (x, y))
    landscape = tg.sample(objective, tg.random_directions(objective, 2), points=21)
    tree = tg.merge_tree(landscape["loss"])
    profile = tg.profile(tree)
    draw_profile(plt.subplots()[1], profile.table(), profile.marks())
    plt.savefig(tmp_path / "profile.png")

    assert (tmp_path / "profile.png").stat().st_size > 0
    assert landscape["loss"].shape == (21, 21)
    assert profile.width(float(landscape["loss"].max())) == 441
    assert len(tree.minima) == tg.quantities(tree)["minima"] >= 1
    plt.close("all")


def test_five_lines_with_the_hessian_of_the_same_model() -> None:
    torch.manual_seed(0)
    model, x = Net(), torch.rand(64, 2)

    objective = tg.Objective.from_model(model.eval(), nn.functional.mse_loss, (x, x[:, :1]))
    eigenpairs = tg.hessian_eigenpairs(objective, 2)
    landscape = tg.sample(objective, tg.hessian_directions(eigenpairs, 2), points=5)
    pairs = tg.merge_tree(landscape["loss"]).pairs

    assert pairs["birth"].min() == landscape["loss"].min()
