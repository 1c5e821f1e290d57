"""The sentences of a topography card fit the numbers they are about."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from topograph.comparison.card import words
from topograph.landscape.point import Stationary, stationary
from topograph.objective.objective import Objective


def told(**changes: object) -> list[str]:
    """The sentences on a saddle with two directions down of ten."""
    values = np.r_[-3.0, -1.0, np.full(8, 2e-3)]
    given = {
        "loss": 0.1,
        "gradient_norm": 1.2e-3,
        "relative_step": 1e-5,
        "top": np.linspace(60, 20, 10),
        "top_errors": np.full(10, 1e-6),
        "bottom": values,
        "bottom_errors": np.full(10, 1e-6),
        "index": 2,
        "index_is_lower_bound": False,
        "condition": 3e4,
        "condition_is_lower_bound": True,
        "alignment": 0.97,
        "parameters": 500,
        "products": 40,
    }
    return words(Stationary(**{**given, **changes}))


def test_a_saddle_is_told_in_five_sentences() -> None:
    assert told() == [
        "The gradient is 1.2e-3 long: near, not at, a stationary point.",
        "2 of the 10 lowest directions go down: a saddle of index at least 2.",
        "The steepest direction curves at least 3e4 times as strongly as the flattest: "
        "steps must be small, and flat directions are slow.",
        "Gradient descent is stable below a step of 2/lambda_max = 0.033.",
        "97 % of the squared gradient lies in the 10 steepest directions, where a random one "
        "would have 2 %.",
    ]


def test_a_slope_is_neither_minimum_nor_saddle() -> None:
    sentences = told(relative_step=0.02, gradient_norm=195.0)
    assert sentences[0] == "The gradient is 200 long: a slope, not near a stationary point."
    assert sentences[1] == "2 of the 10 lowest directions curve down."
    assert not any("saddle" in one or "minimum" in one for one in sentences)


def test_directions_up_only_are_a_minimum() -> None:
    bowl = {"top": np.full(3, 4.0), "top_errors": np.full(3, 1e-9), "condition": 1.0}
    bowl |= {"condition_is_lower_bound": False}
    bowl |= {"bottom": bowl["top"], "bottom_errors": bowl["top_errors"], "index": 0}
    sentences = told(**bowl, gradient_norm=0.0, relative_step=0.0, alignment=np.nan)
    assert sentences == [
        "The gradient is 0 long, zero to the digits of the weights: a stationary point.",
        "Every direction goes up: a minimum.",
        "The steepest direction curves 1 times as strongly as the flattest: one step suits all.",
        "Gradient descent is stable below a step of 2/lambda_max = 0.5.",
    ]


def test_directions_down_only_are_a_maximum_at_which_no_step_is_stable() -> None:
    sentences = told(top=np.full(10, -4.0), bottom=np.full(10, -4.0), index=10)
    assert sentences[1] == "Every direction goes down: a maximum."
    assert not any("stable" in sentence for sentence in sentences)


def test_flat_directions_make_a_valley_possible() -> None:
    bottom = np.r_[1e-8, np.full(9, 1e-3)]
    assert told(bottom=bottom, index=0)[1] == (
        "None of the 10 lowest directions goes down, 1 too little to tell: "
        "a minimum, or a flat valley."
    )


def test_a_gradient_of_rounding_has_no_alignment_worth_telling() -> None:
    assert len(told(relative_step=1e-9)) == 4
    assert len(told(alignment=np.nan)) == 4


def test_ends_that_are_alike_say_nothing_of_what_lies_between() -> None:
    sentences = told(condition=2.0)
    assert sentences[2] == (
        "The steepest direction curves at least 2 times as strongly as the flattest."
    )


def test_curvature_below_its_error_is_told_as_unknown() -> None:
    sentences = told(condition=np.nan, index=0, bottom=np.zeros(10), top=np.zeros(10))
    assert sentences[1].startswith("None of the 10 lowest directions goes down, 10 too little")
    assert sentences[2] == "No direction curves by more than the error of its curvature."


def test_the_saddle_between_two_layers_of_one_weight_is_told_as_one() -> None:
    first, second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    network = nn.Sequential(first, second).eval()
    with torch.no_grad():
        first.weight.zero_()
        second.weight.zero_()
    data = (torch.ones(1, 1), torch.ones(1, 1))
    # (w1 w2 - 1)^2: its Hessian at the origin has the eigenvalues -2 and 2.
    found = stationary(Objective.from_model(network, nn.functional.mse_loss, data), eigenvalues=2)
    assert words(found) == [
        "The gradient is 0 long, zero to the digits of the weights: a stationary point.",
        "1 of the 2 lowest directions goes down: a saddle of index at least 1.",
        "The steepest direction curves 1 times as strongly as the flattest: one step suits all.",
        "Gradient descent is stable below a step of 2/lambda_max = 1.",
    ]
