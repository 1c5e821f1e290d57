"""A topography card: what kind of point a model is at, in sentences for people new to it."""

from __future__ import annotations

import numpy as np

from topograph.landscape.point import Stationary

# Weights are kept in float32: a step that changes none of their digits is no step.
AT = float(np.finfo(np.float32).eps)
# A step of a thousandth of the weights is so short that the curvature hardly changes on the way.
NEAR = 1e-3
# Up to here the best step of gradient descent takes a digit off the error in a dozen steps.
EASY = 10.0


def words(point: Stationary) -> list[str]:
    """Return what ``stationary`` found in short plain sentences, for people new to the subject.

    At a stationary point the relative step is below the digits of float32, near one below 1e-3.
    """
    told = [_gradient_words(point), _index_words(point), *_condition_words(point)]
    if point.relative_step > AT and np.isfinite(point.alignment):
        k = len(point.top)
        told.append(
            f"{_percent(point.alignment)} of the squared gradient lies in the {k} steepest "
            f"directions, where a random one would have {_percent(k / point.parameters)}."
        )
    return told


def _gradient_words(point: Stationary) -> str:
    told = f"The gradient is {_number(point.gradient_norm)} long"
    if point.relative_step <= AT:
        return f"{told}, zero to the digits of the weights: a stationary point."
    if point.relative_step <= NEAR:
        return f"{told}: near, not at, a stationary point."
    return f"{told}: a slope, not near a stationary point."


def _index_words(point: Stationary) -> str:
    k, down = len(point.bottom), point.index
    up = int((point.bottom > point.bottom_errors).sum())
    near = point.relative_step <= NEAR
    goes, go = ("goes", "go") if near else ("curves", "curve")
    flat = f", {k - up - down} too little to tell" if up + down < k else ""
    if up == k:
        told, kind = f"Every direction {goes} up", "a minimum"
    elif point.top[0] < -point.top_errors[0]:
        told, kind = f"Every direction {goes} down", "a maximum"
    elif down:
        told = f"{down} of the {k} lowest directions {goes if down == 1 else go} down{flat}"
        kind = f"a saddle of index at least {down}"
    else:
        told = f"None of the {k} lowest directions {goes} down{flat}"
        kind = "a minimum, or a flat valley"
    return f"{told}: {kind}." if near else f"{told}."


def _condition_words(point: Stationary) -> list[str]:
    if not np.isfinite(point.condition):
        return ["No direction curves by more than the error of its curvature."]
    at_least = "at least " * point.condition_is_lower_bound
    told = (
        f"The steepest direction curves {at_least}{_number(point.condition)} times as strongly as "
        "the flattest"
    )
    if point.condition >= EASY:
        told += ": steps must be small, and flat directions are slow."
    else:
        # A low bound says nothing of the flattest direction.
        told += "." if at_least else ": one step suits all."
    if point.top[0] <= point.top_errors[0]:
        return [told]
    step = _number(2 / point.top[0])
    return [told, f"Gradient descent is stable below a step of 2/lambda_max = {step}."]


def _number(value: float) -> str:
    """Return two digits, with a power of ten where that is shorter."""
    mantissa, _, power = f"{value:.1e}".partition("e")
    if not power or -3 < int(power) < 3:
        return f"{float(f'{value:.1e}'):g}"
    return f"{mantissa.removesuffix('.0')}e{int(power)}"


def _percent(share: float) -> str:
    return f"{_number(100 * share)} %"
