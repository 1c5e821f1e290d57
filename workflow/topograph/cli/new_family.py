"""A commented study to start from, one for each kind of family."""

from __future__ import annotations

import re
from pathlib import Path

from topograph.config.study import reserved_name_problem
from topograph.foundation.errors import ConfigError
from topograph.foundation.storage import atomic

KINDS = ("supervised", "pinn", "deepxde")

HEAD = """\
# yaml-language-server: $schema=schema.json
# A study to start from; it runs as it stands. Replace what the comments name, then:
#     topograph check config/{study}.yaml      validates, lists the jobs, estimates what they cost
#     make study STUDY={study}                 runs it and builds its site
study: {study}                # the name of this file

experiments:
  {name}:
"""

SUPERVISED = """\
    family: supervised
    # A short name (brain, cifar10, digits, oxford-pet), or a function or class of yours as
    # 'package.module:name'. It returns train inputs, train targets, test inputs, test targets as
    # arrays, or two torch data sets (train, test). Whole numbers are classes, others are regressed.
    data: {target: digits, kwargs: {augment: false}}
    # A short name (mlp, resnet, unet, wide-resnet), or any torch.nn.Module of yours.
    model: {target: wide-resnet, kwargs: {depth: 10, width: 1, in_channels: 1, classes: 10}}
    # cross-entropy, or any function of (outputs, targets) or class of such modules, for example
    # {target: 'torch.nn:CrossEntropyLoss', kwargs: {label_smoothing: 0.1}}. It returns a mean.
    loss: cross-entropy
    optimiser: {name: sgd, learning_rate: 0.1, weight_decay: 0.0001}    # or adam
    schedule: {epochs: 5, batch: 128, milestones: [4]}
"""

PINN = """\
    family: pinn
    # A short name (convection), or a class of yours as 'package.module:Name' with the methods of
    # topograph.problems.problem.Problem.
    problem: {target: convection, kwargs: {beta: 1.0}}
    # mlp, or any torch.nn.Module of yours from (x, t) to u.
    model: {target: mlp, kwargs: {inputs: 2, outputs: 1, width: 20, depth: 3}}
    optimiser: {name: lbfgs, learning_rate: 1.0, max_iterations: 500}
"""

DEEPXDE = """\
    family: pinn
    # A function of yours as 'package.module:name' that returns a deepxde.data.PDE or TimePDE, with
    # any number of inputs and outputs; its arguments are the kwargs. heat is such a function, in
    # workflow/topograph/problems/heat.py.
    problem: {target: heat, kwargs: {diffusivity: 0.1}}
    # mlp, or any torch.nn.Module of yours; inputs and outputs are those of the equation.
    model: {target: mlp, kwargs: {inputs: 2, outputs: 1, width: 20, depth: 3}}
    optimiser: {name: lbfgs, learning_rate: 1.0, max_iterations: 500}
"""

SEEDS = """\
    seeds: [0, 1]              # more seeds later train only the new ones
    # Every combination of these lists is a cell, trained as one job:
    # grid: {{{axis}}}
    analyses:
"""

LANDSCAPES = """\
      # Names are yours; points: an odd number puts the trained network on a vertex.
      random-2d: {kind: landscape, directions: random, dimensions: 2, points: 11, distance: 1.0, normalization: filter%s}
      hessian-1d: {kind: landscape, directions: hessian, dimensions: 1, points: 21, distance: 1.0%s}
"""  # noqa: E501

JUMPS = """\
      jump-retrain: {kind: jump-retrain, seeds: [0, 1], steps: [0.5, 1.0], epochs: 11}
"""

FIGURES = """\

figures:                       # a page each, drawn by a notebook of workflow/notebooks
  {name}-profiles: {{title: Profiles of {name}, notebook: profiles, experiment: {name}, analysis: random-2d}}
  {name}-surfaces: {{title: Surfaces of {name}, notebook: tlp-fig2, experiment: {name}, analysis: random-2d}}
"""  # noqa: E501

JUMP_FIGURE = """\
  {name}-jumps: {{title: Jumps from {name}, notebook: jr-fig3a, experiment: {name}, analysis: jump-retrain}}
"""  # noqa: E501


def family_text(name: str, kind: str, file: str | None = None) -> str:
    """Return a study of one experiment, of a kind of ``KINDS``, that is valid and runs as it is.

    The study is named like its file, where there is one, as it must be. Raises ConfigError for a
    name that no study may have.
    """
    study = _name_of_file(file) if file else name
    _check_name("name", name)
    _check_name("file" if file else "name", study)
    if problem := reserved_name_problem(study):
        raise ConfigError(f"{study!r} names no study: {problem}")
    block = {"supervised": SUPERVISED, "pinn": PINN, "deepxde": DEEPXDE}[kind]
    supervised = kind == "supervised"
    examples = ", examples: 128" if supervised else ""
    axis = "optimiser.learning_rate: [0.1, 0.01]" if supervised else "model.kwargs.width: [10, 20]"
    analyses = LANDSCAPES % (examples, examples)
    figures = FIGURES + (JUMP_FIGURE if supervised else "")
    return "".join(
        [
            HEAD.format(study=study, name=name),
            block,
            SEEDS.format(axis=axis),
            analyses + (JUMPS if supervised else ""),
            figures.format(name=name),
        ]
    )


def _check_name(what: str, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,50}", name):
        raise ConfigError(
            f"{what}: received {name!r}; allowed: up to 51 small letters, digits and hyphens, the "
            "first a letter, like 'my-family'"
        )


def _name_of_file(file: str) -> str:
    if Path(file).suffix != ".yaml":
        raise ConfigError(f"--out: received {file!r}; allowed: a file like config/my-family.yaml")
    return Path(file).stem


def write_new(path: str | Path, text: str) -> None:
    """Write a file that is not there yet; raise ConfigError where it is."""
    if Path(path).exists():
        raise ConfigError(f"{path} exists and is kept as it is; choose another name")
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
