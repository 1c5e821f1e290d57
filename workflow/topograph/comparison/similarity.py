"""How alike networks are on the same examples: their representations, outputs and parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from topograph.foundation.errors import TopographError, unknown_name
from topograph.objective.engines import exact_products

FloatArray = NDArray[np.float64]
# HSIC_1 divides by n - 3.
FEWEST_EXAMPLES = 4


def cka(first: Tensor | ArrayLike, second: Tensor | ArrayLike) -> float:
    """Return the unbiased linear CKA of representations (n, p) and (n, q) of the same n examples.

    More than two axes are flattened per example. It is 1 where they differ by rotation, scale and
    origin alone, and 0 on average where they are independent, single values then of either sign.
    NaN where the HSIC of one is 0 to rounding: all examples, or all but one, are the same, or all
    are equally far apart. Computed from Gram matrices in float64, so memory grows by n squared.
    Raises TopographError for fewer than 4 examples, numbers of examples that differ, and values
    that are not finite.
    Source: Nguyen et al. 2021 (arXiv 2010.15327), equation 3, HSIC_1 of Song et al. 2012.
    """
    return minibatch_cka([(first, second)])


def minibatch_cka(
    batches: Iterable[tuple[Tensor | ArrayLike, Tensor | ArrayLike]],
) -> float:
    """Return the unbiased linear CKA of two representations, given as pairs (n, …) of mini-batches.

    HSIC_1 of the pair, and of each with itself, are summed over the mini-batches and divided at the
    end: over many shuffles that is the CKA of all examples, where a mean of ratios is not.
    Mini-batches of different length count by their length. Raises TopographError like ``cka``, and
    where there is no mini-batch.
    Source: Nguyen et al. 2021 (arXiv 2010.15327), equation 2.
    """
    sums = [_hsic(_pair(first, second)) for first, second in batches]
    if not sums:
        raise _nothing_to_compare()
    return float(_alignment(torch.stack(sums).sum(dim=0))[0, 1])


def similarity(
    models: Sequence[nn.Module],
    batch: Tensor | Iterable[Tensor],
    *,
    layers: str | Sequence[str] | None = None,
    has_classes: bool = True,
) -> xr.Dataset:
    """Compare each of M models with every other on the same inputs.

    ``batch`` is inputs (B, …), or mini-batches of them. Over (model, other), float64:

    - ``cka``              unbiased linear CKA of a representation, see ``minibatch_cka``
    - ``disagreement``     share of examples (of their pixels, where outputs have more axes) in
                           which the largest output, along axis 1, is another; NaN unless
                           ``has_classes``
    - ``output_distance``  root of the mean squared difference of outputs, in their units
    - ``distance``         Euclidean distance of parameters; NaN where their names or shapes differ

    The representation is what enters the module with parameters that runs last or, with ``layers``
    (a module's name, or one for each model), what that module returns; the coordinate ``layer``
    names it. Models run where they lie and come back as they were. What is not finite in a model
    is so in its rows alone. Memory grows by M times the square of a mini-batch.

    Raises TopographError for no model, a model in training mode, an unknown layer or one that does
    not run, outputs without classes or of shapes that differ, and mini-batches of fewer than 4
    examples.
    """
    models = _checked_models(models)
    names = _layers_of_each(models, layers)
    sums, examples = [], 0
    for inputs in _mini_batches(batch):
        runs = [_run(i, m, inputs, names[i]) for i, m in enumerate(models)]
        outputs = _stacked([found for found, _ in runs], has_classes)
        inside = [next(iter(kept.items())) for _, kept in runs]
        differences = torch.stack([_disagreement(outputs, has_classes), _mean_squares(outputs)])
        hsic = _hsic([representation for _, representation in inside])
        sums.append(torch.stack([hsic, *(len(inputs) * differences)]))
        examples += len(inputs)
    hsic, differing, squares = torch.stack(sums).sum(dim=0)
    across = ("model", "other")
    return xr.Dataset(
        {
            "cka": (across, _alignment(hsic).numpy()),
            "disagreement": (across, (differing / examples).numpy()),
            "output_distance": (across, (squares / examples).sqrt().numpy()),
            "distance": (across, _distances(models)),
        },
        {name: np.arange(len(models)) for name in across}
        | {"layer": ("model", [name for name, _ in inside])},
        {"examples": examples, "mini_batches": len(sums)},
    )


def layer_cka(
    first: nn.Module,
    second: nn.Module,
    batch: Tensor | Iterable[Tensor],
    layers: Sequence[str],
    *,
    others: Sequence[str] | None = None,
) -> xr.DataArray:
    """Return the unbiased linear CKA of what modules of two models return on the same inputs.

    ``layers`` names modules of the first model and ``others`` of the second, by default the same;
    the result, ``cka_layers``, lies over (layer, layer_other). ``batch`` is inputs (B, …), or
    mini-batches of them. Raises TopographError like ``similarity``.
    Source: Nguyen et al. 2021 (arXiv 2010.15327), section 3.
    """
    models = _checked_models([first, second])
    names = [list(layers), list(layers if others is None else others)]
    for number, model in enumerate(models):
        _check_layers(number, model, names[number])
    sums = []
    for inputs in _mini_batches(batch):
        runs = [_run(i, model, inputs, names[i])[1] for i, model in enumerate(models)]
        sums.append(_hsic([kept[n] for kept, own in zip(runs, names, strict=True) for n in own]))
    block = _alignment(torch.stack(sums).sum(dim=0))[: len(names[0]), len(names[0]) :]
    coordinates = {"layer": names[0], "layer_other": names[1]}
    return xr.DataArray(block.numpy(), coordinates, tuple(coordinates), name="cka_layers")


def _hsic(representations: Sequence[Tensor]) -> Tensor:
    """Return n times HSIC_1 of every pair of M representations (n, …), (M, M)."""
    rows = torch.stack([_centred_gram(one).flatten() for one in representations])
    return rows @ rows.T / (len(representations[0]) - 3)


def _centred_gram(representation: Tensor) -> Tensor:
    """Return the U-centred Gram matrix (n, n), whose diagonal and sums are 0, in float64.

    HSIC_1(K, L) is the product of two of them over n (n - 3), so that HSIC_1(K, K) is never
    negative (Székely and Rizzo 2014, arXiv 1310.2926, definition 2).
    """
    n = len(representation)
    rows = representation.double().reshape(n, math.prod(representation.shape[1:]))
    # HSIC_1 does not depend on the origin; from the mean fewest digits cancel.
    rows = rows - rows.mean(dim=0)
    gram = rows @ rows.T
    rounding = n * torch.finfo(gram.dtype).eps * gram.norm()
    gram.fill_diagonal_(0)
    sums = gram.sum(dim=0) / (n - 2)
    centred = gram - sums[:, None] - sums + sums.sum() / (n - 1)
    centred.fill_diagonal_(0)
    # Where HSIC is 0 a ratio of two rounding errors would pass for a CKA.
    return (torch.zeros_like(centred) if centred.norm() <= rounding else centred).cpu()


def _alignment(hsic: Tensor) -> Tensor:
    """Return CKA (M, M) from the HSIC of every pair; NaN where one with itself is 0."""
    norms = hsic.diagonal().sqrt()
    return hsic / norms.outer(norms)


def _pair(first: Tensor | ArrayLike, second: Tensor | ArrayLike) -> list[Tensor]:
    pair = [_finite(first), _finite(second)]
    lengths = [len(one) for one in pair]
    if lengths[0] != lengths[1]:
        raise TopographError(
            f"the representations are of {lengths[0]} and {lengths[1]} examples; allowed: the same "
            "examples in the same order; pass a row for each in both"
        )
    _check_enough(lengths[0])
    return pair


def _finite(representation: Tensor | ArrayLike) -> Tensor:
    if isinstance(representation, Tensor):
        found = representation.detach().double()
    else:
        found = torch.from_numpy(np.array(representation, dtype=np.float64))
    broken = int((~found.isfinite()).sum())
    if not found.ndim or broken:
        raise TopographError(
            f"a representation has shape {tuple(found.shape)} and {broken} values that are not "
            "finite; allowed: finite values (n, …); leave out what diverged"
        )
    return found


def _check_enough(examples: int) -> None:
    if examples < FEWEST_EXAMPLES:
        raise TopographError(
            f"a mini-batch has {examples} examples; allowed: {FEWEST_EXAMPLES} or more, which the "
            "unbiased HSIC needs; use larger mini-batches, or drop the last"
        )


def _nothing_to_compare() -> TopographError:
    return TopographError("there is no mini-batch; allowed: one or more; pass some examples")


def _mini_batches(batch: Tensor | Iterable[Tensor]) -> Iterator[Tensor]:
    shapes = []
    for inputs in [batch] if isinstance(batch, Tensor) else batch:
        if not isinstance(inputs, Tensor) or not inputs.ndim:
            raise TopographError(
                f"a mini-batch is a {_described(inputs)}; allowed: a tensor of inputs (B, …); pass "
                "inputs without targets"
            )
        _check_enough(len(inputs))
        shapes.append(tuple(inputs.shape[1:]))
        if shapes[-1] != shapes[0]:
            raise TopographError(
                f"mini-batches hold examples of shapes {shapes[0]} and {shapes[-1]}; allowed: one "
                "shape; pass inputs without targets"
            )
        yield inputs
    if not shapes:
        raise _nothing_to_compare()


def _checked_models(models: Sequence[nn.Module]) -> list[nn.Module]:
    found = [] if isinstance(models, nn.Module) else list(models)
    if not found or not all(isinstance(model, nn.Module) for model in found):
        raise TopographError(
            f"models is a {type(models).__name__} of {len(found)} entries; allowed: a sequence of "
            "one module or more; pass [model, …]"
        )
    for number, model in enumerate(found):
        training = [name or "itself" for name, m in model.named_modules() if m.training]
        if training:
            raise TopographError(
                f"model {number} is in training mode ({training[0]}), in which dropout and batch "
                "norm change its outputs; allowed: evaluation mode; call model.eval() first"
            )
    return found


def _layers_of_each(
    models: Sequence[nn.Module], layers: str | Sequence[str] | None
) -> list[list[str] | None]:
    if layers is None:
        return [None] * len(models)
    names = [layers] * len(models) if isinstance(layers, str) else list(layers)
    if len(names) != len(models):
        raise TopographError(
            f"layers has {len(names)} names for {len(models)} models; allowed: one name for all, "
            "or one for each; pass as many as there are models"
        )
    for number, model in enumerate(models):
        _check_layers(number, model, [names[number]])
    return [[name] for name in names]


def _check_layers(number: int, model: nn.Module, layers: Sequence[str]) -> None:
    known = [name for name, _ in model.named_modules() if name]
    if not layers:
        raise TopographError(f"no layer is named; allowed: one or more of {', '.join(known)}")
    for name in layers:
        if name not in known:
            raise unknown_name(f"layer of model {number}", name, known)


def _run(
    number: int, model: nn.Module, inputs: Tensor, layers: Sequence[str] | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return outputs (B, …) on the CPU and by name what the layers return, or enters the last."""
    kept: dict[str, Any] = {}
    with ExitStack() as stack:
        if layers is None:
            for name, module in model.named_modules():
                if next(module.parameters(), None) is not None:
                    hook = partial(_keep_input, kept, f"input of {name}" if name else "input")
                    stack.enter_context(module.register_forward_pre_hook(hook, with_kwargs=True))
        for name in layers or ():
            hook = partial(_keep_output, kept, name)
            stack.enter_context(model.get_submodule(name).register_forward_hook(hook))
        stack.enter_context(torch.no_grad())
        stack.enter_context(exact_products())
        outputs = model(_placed(inputs, model))
    _check_runs(number, kept, layers)
    for name, found in {**kept, "its output": outputs}.items():
        if not isinstance(found, Tensor) or not found.ndim or len(found) != len(inputs):
            raise TopographError(
                f"model {number}: {name} is a {_described(found)} for {len(inputs)} examples; "
                "allowed: a tensor with an entry for each; name another layer, or wrap the model"
            )
    return outputs.double().cpu(), kept


def _keep_input(
    kept: dict[str, Any], name: str, _: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    tensors = [value for value in (*given, *named.values()) if isinstance(value, Tensor)]
    # A module without inputs, as a parametrization is, belongs to the layer around it.
    if tensors:
        kept.clear()
        kept[name] = tensors[0].clone()


def _keep_output(kept: dict[str, Any], name: str, _: nn.Module, __: Any, found: Any) -> None:
    # An activation that works in place would change it.
    kept[name] = found.clone() if isinstance(found, Tensor) else found


def _check_runs(number: int, kept: Mapping[str, Any], layers: Sequence[str] | None) -> None:
    if layers is None and not kept:
        raise TopographError(
            f"model {number} runs no module that has parameters; allowed: one or more; name the "
            "layers to compare"
        )
    silent = [name for name in layers or () if name not in kept]
    if silent:
        raise TopographError(
            f"layer {silent[0]!r} of model {number} is not called when the model runs; allowed: "
            "one that is; name another"
        )


def _placed(inputs: Tensor, model: nn.Module) -> Tensor:
    """Return inputs where the model lies and, unless they are whole numbers, in its type."""
    first = next(model.parameters(), None)
    if first is None:
        return inputs
    return inputs.to(first.device, first.dtype if inputs.is_floating_point() else None)


def _stacked(outputs: Sequence[Tensor], has_classes: bool) -> Tensor:
    """Return outputs of all models (M, B, …)."""
    shapes = [tuple(found.shape[1:]) for found in outputs]
    for number, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise TopographError(
                f"models 0 and {number} give outputs of shapes {shapes[0]} and {shape} for an "
                "example; allowed: one shape for all models"
            )
    if has_classes and (not shapes[0] or shapes[0][0] < 2):
        raise TopographError(
            f"outputs have shape {shapes[0]} for an example; allowed: two classes or more along "
            "the first axis; pass has_classes=False where they are no classes"
        )
    return torch.stack(list(outputs))


def _disagreement(outputs: Tensor, has_classes: bool) -> Tensor:
    """Return the share of labels that differ (M, M); outputs are (M, B, classes, …)."""
    if not has_classes:
        return torch.full((len(outputs), len(outputs)), torch.nan, dtype=torch.float64)
    labels = outputs.argmax(dim=2).double()
    labels[outputs.isnan().any(dim=2)] = torch.nan
    labels = labels.flatten(1)
    # Other than a comparison, a difference stays NaN.
    return torch.stack([(labels - own).abs().clamp(max=1).mean(dim=1) for own in labels])


def _mean_squares(outputs: Tensor) -> Tensor:
    """Return the mean squared difference of outputs (M, M)."""
    return torch.stack([(outputs - own).square().flatten(1).mean(dim=1) for own in outputs])


def _distances(models: Sequence[nn.Module]) -> FloatArray:
    found = np.empty((len(models), len(models)))
    for i, j in combinations_with_replacement(range(len(models)), 2):
        found[i, j] = found[j, i] = _distance(models[i], models[j])
    return found


def _distance(first: nn.Module, second: nn.Module) -> float:
    own, other = dict(first.named_parameters()), dict(second.named_parameters())
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in other.items()}:
        return math.nan
    steps = (own[k].detach().double().cpu() - other[k].detach().double().cpu() for k in own)
    return math.sqrt(sum(float(step.square().sum()) for step in steps))


def _described(value: Any) -> str:
    kind = type(value).__name__
    return f"{kind} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else kind
