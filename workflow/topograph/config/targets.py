"""Names of models, data sets, losses and problems, found and checked without importing them."""

from __future__ import annotations

import ast
from functools import cache

from topograph.config.signatures import NotDefinedError, Signature, arguments, find
from topograph.foundation.errors import ConfigError, nearest

SHORT_NAMES: dict[str, dict[str, str]] = {
    "model": {
        "mlp": "topograph.models.mlp:MLP",
        "resnet": "topograph.models.resnet:ResNet",
        "unet": "topograph.models.unet:UNet",
        "wide-resnet": "topograph.models.wide_resnet:WideResNet",
    },
    "data": {
        "brain": "topograph.data.brain:brain",
        "cifar10": "topograph.data.cifar10:cifar10",
        "digits": "topograph.data.digits:digits",
        "oxford-pet": "topograph.data.oxford_pet:oxford_pet",
    },
    "loss": {"cross-entropy": "torch.nn.functional:cross_entropy"},
    "problem": {
        "convection": "topograph.problems.convection:Convection",
        "heat": "topograph.problems.heat:heat",
    },
}


def resolve(kind: str, target: str) -> str:
    """Return the dotted path ``package.module:name`` of a short name or of a dotted path itself.

    Raises ConfigError when the name is neither known nor of that form.
    """
    known = SHORT_NAMES[kind]
    if target in known:
        return known[target]
    if target.count(":") != 1 or not all(part.isidentifier() for part in _parts(target)):
        raise ConfigError(
            f"unknown {kind} {target!r}{nearest(target, known)}; allowed: "
            f"{', '.join(sorted(known))}, or a dotted path like 'package.module:Name'"
        )
    return target


def _parts(target: str) -> list[str]:
    return target.replace(":", ".").split(".")


@cache
def signature(kind: str, target: str) -> Signature | None:
    """Return the arguments of a target, read from its source.

    Of a loss that is a function they are those after outputs and targets. Returns None when they
    cannot be known without running the module. Raises ConfigError when the module or the name does
    not exist.
    """
    module, name = resolve(kind, target).split(":")
    try:
        definition = find(module, name)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        remedy = "install it into the environment, or correct the path before the colon"
        advice = f"; {remedy}" if error.name == top else ""
        raise ConfigError(f"{kind} {target!r}: {error}{advice}") from error
    except NotDefinedError as error:
        raise ConfigError(
            f"{kind} {target!r}: {module} defines no {name!r}{nearest(name, error.known)}"
        ) from error
    if definition is None:
        return None
    is_loss_function = kind == "loss" and not isinstance(definition.node, ast.ClassDef)
    return arguments(definition, by_position=2 if is_loss_function else 0)


def check_kwargs(kind: str, target: str, kwargs: dict[str, object], given: set[str]) -> None:
    """Raise ConfigError for an argument that the target does not take, or that it still needs.

    ``given`` names arguments that the family itself will pass.
    """
    found = signature(kind, target)
    if found is None:
        return
    settable = found.allowed - given
    for name in kwargs:
        if name not in settable and not found.open:
            raise ConfigError(
                f"kwargs.{name}: {kind} {target!r} takes no argument {name!r}"
                f"{nearest(name, settable)}; allowed: {', '.join(sorted(settable)) or 'none'}"
            )
    missing = sorted(found.required - given - set(kwargs))
    if missing:
        raise ConfigError(f"kwargs: {kind} {target!r} needs {', '.join(missing)}")
