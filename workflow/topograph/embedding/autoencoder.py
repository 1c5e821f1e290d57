"""Autoencoders of weights: a curved map of points known by inner products, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from topograph.embedding.distances import FloatArray
from topograph.foundation.errors import TopographError
from topograph.foundation.seeds import derive_seed, torch_seed
from topograph.geometry.gram import centred, principal_scores

LEARNING_RATE = 1e-2
# From the plane of PCA the first gradients of many weights are rounding error, which Adam's usual
# 1e-8 would make steps of: maps of the same points would then differ in the fourth digit.
EPSILON = 1e-6
# Training stops where this many epochs lower the best error by less than this part of it.
PATIENCE, LEAST_GAIN = 100, 0.01
# Below these parts of M times the largest variance, and of the squared norms, is rounding error.
RESOLVED_VARIANCE, RESOLVED_SPREAD = 1e-12, 1e-12


class Scores(NamedTuple):
    """What a Gram matrix says of its M points, in r principal components.

    ``white`` (M, r) are scores of mean 0 and variance 1, ``spread`` (r,) the standard deviations of
    the true ones over ``scale``, the root mean squared distance to the mean; ``rest`` (M,) are
    squared distances to the space of the r components.
    """

    white: FloatArray
    spread: FloatArray
    scale: float
    rest: FloatArray

    def coefficients(self, white: FloatArray) -> FloatArray:
        """Return the coefficients (P, M) of the M points in those with white scores (P, r).

        With w_i of mean 0 and variance 1, theta - mean = sum_i <w, w_i> (theta_i - mean) / M, so
        theta = sum_i c_i theta_i with c_i = (1 + <w, w_i>) / M, which sum to 1.
        """
        return (1 + white @ self.white.T) / len(self.white)

    def of_others(self, inner: FloatArray, squared: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return white scores (P, r) and ``rest`` (P,) of other points.

        ``inner`` (P, M) are their inner products with the M points and ``squared`` (P,) their
        squared lengths, all counted from the mean of the M.
        """
        deviations = self.spread * self.scale
        white = inner @ self.white / (len(self.white) * deviations**2)
        return white, np.maximum(squared - np.sum((white * deviations) ** 2, axis=1), 0.0)


class Network(nn.Module):
    """An autoencoder (P, r) -> (P, 2) -> (P, r) of white scores that starts as their PCA.

    Each half is a linear map, that of PCA, plus a perceptron whose last layer starts at zero. In
    white scores each component, however small, learns at the rate of the others.
    """

    def __init__(self, spread: Tensor, width: int) -> None:
        super().__init__()
        # One scale for both axes of the code: distances on the plane of PCA are true.
        ratio = spread / spread[0]
        self.spread = spread
        self.onto_plane = torch.eye(len(spread), 2, dtype=spread.dtype) * ratio[:, None]
        self.from_plane = torch.eye(2, len(spread), dtype=spread.dtype) / ratio
        self.encoder = _perceptron(len(spread), width, 2)
        self.decoder = _perceptron(2, width, len(spread))

    def encode(self, white: Tensor) -> Tensor:
        """Return codes (P, 2) of white scores (P, r)."""
        return white @ self.onto_plane + self.encoder(white * self.spread)

    def decode(self, code: Tensor) -> Tensor:
        """Return white scores (P, r) of codes (P, 2)."""
        return code @ self.from_plane + self.decoder(code)

    def missed(self, white: Tensor) -> Tensor:
        """Return squared distances (P,) from points to their decodings, over ``scale`` squared."""
        return ((self.decode(self.encode(white)) - white) * self.spread).square().sum(dim=1)


@dataclass(frozen=True, eq=False)
class Autoencoder:
    """A map of M points and the surface in their space that it is decoded to.

    - ``coordinates``     (M, 2), both axes on one scale, the longer from -1 to 1
    - ``reconstruction``  root mean square of ``errors`` over that of distances to the mean: 0 is
      perfect, 1 as bad as the mean
    - ``errors``          (M,) distances of points to their decodings, in the units of the points
    - ``losses``          (epochs run + 1,) reconstruction before each epoch and after the last; the
      first is that of PCA, and the network is that of the lowest
    - ``settings``        what `autoencode` was asked for
    """

    coordinates: FloatArray
    reconstruction: float
    errors: FloatArray
    losses: FloatArray
    settings: dict[str, int]
    network: Network
    scores: Scores
    middle: FloatArray
    reach: float

    def decode(self, coordinates: ArrayLike) -> FloatArray:
        """Return the coefficients (P, M) by which points of the map (P, 2) combine the M points.

        theta(z) = sum_i c_i(z) theta_i, and each row sums to 1: theta_i may be counted from any
        origin, and `topograph.landscape.evaluation.Points` takes the theta_i as vectors without an
        origin, or their offsets from one with it.
        Raises TopographError for coordinates of another shape.
        """
        code = _checked_coordinates(coordinates) * self.reach + self.middle
        with torch.no_grad():
            white = self.network.decode(torch.from_numpy(code)).numpy()
        return self.scores.coefficients(white)


def autoencode(
    gram: ArrayLike, *, components: int = 100, width: int = 32, epochs: int = 500, seed: int = 0
) -> Autoencoder:
    """Map points known by their inner products to a plane, and the plane to a surface among them.

    ``gram`` is (M, M), of theta_i less any one origin. An autoencoder with two hidden layers of
    ``width`` tanh units in each half learns the points' principal scores, at most ``components`` of
    them, by full-batch Adam of ``epochs`` steps or fewer, from the plane of PCA on. A seed gives
    the same bits again under one number of threads. The errors are those at the M points: between
    and beyond them nothing holds the surface near any training.
    Raises TopographError for fewer than 3 points, points that all coincide, a Gram matrix that is
    not square or not finite, and ``components``, ``width`` or ``epochs`` out of range.
    Source: Neuro-Visualizer, Elhamod and Karpatne 2024 (arXiv 2309.14601), without its further
    losses, and on scores in place of parameters.
    """
    if width < 1 or epochs < 0:
        raise TopographError(
            f"width is {width} and epochs is {epochs}; allowed: a width of 1 or more and epochs of "
            "0, which leaves PCA, or more"
        )
    scores = _scores(gram, components)
    white, spread = torch.from_numpy(scores.white), torch.from_numpy(scores.spread)
    with torch_seed(derive_seed(seed, "autoencoder")):
        network = Network(spread, width).double()
    losses = _train(network, white, float(scores.rest.mean()) / scores.scale**2, epochs)
    with torch.no_grad():
        code = network.encode(white)
        missed = network.missed(white).numpy()
    errors = np.sqrt(scores.rest + missed * scores.scale**2)
    low, high = code.numpy().min(axis=0), code.numpy().max(axis=0)
    middle, reach = (low + high) / 2, float((high - low).max()) / 2
    return Autoencoder(
        coordinates=(code.numpy() - middle) / reach,
        reconstruction=float(np.sqrt(np.mean(errors**2)) / scores.scale),
        errors=errors,
        losses=losses,
        settings={"components": components, "width": width, "epochs": epochs, "seed": seed},
        network=network,
        scores=scores,
        middle=middle,
        reach=reach,
    )


def pca_reconstruction(gram: ArrayLike, components: int = 2) -> float:
    """Return the relative reconstruction error of the points on their principal components.

    The root mean squared distance between points and their projections over that to their mean,
    in [0, 1]: what the ``reconstruction`` of `autoencode` is to be compared with, for 2 components.
    Raises TopographError as `autoencode` does.
    """
    scores = _scores(gram, components)
    return float(np.sqrt(scores.rest.mean()) / scores.scale)


def held_out_reconstruction(
    gram: ArrayLike,
    *,
    components: int = 100,
    width: int = 32,
    epochs: int = 500,
    folds: int = 4,
    seed: int = 0,
) -> float:
    """Return the relative error of decoding points that the autoencoder has not seen.

    Each fold is every ``folds``-th point. It is encoded and decoded by an autoencoder of the other
    points, as by `autoencode` with the same options; the root mean squared distance to its
    decodings stands over that to their mean: 1 or more is no better than the mean. Along a training
    the points before and after one left out have been seen. ``epochs`` of 0 is PCA on 2 components.
    Raises TopographError as `autoencode` does, and where fewer than 2 folds or 3 points are left.
    """
    points = len(_scores(gram, components).white)
    if not 2 <= folds <= points:
        raise TopographError(f"folds is {folds}; allowed: 2 to {points}, the number of points")
    given = np.asarray(gram, dtype=np.float64)
    missed, spread = 0.0, 0.0
    for fold in range(folds):
        left = np.arange(points) % folds == fold
        seen = given[np.ix_(~left, ~left)]
        coder = autoencode(seen, components=components, width=width, epochs=epochs, seed=seed)
        inner = given[np.ix_(left, ~left)]
        squared = np.diagonal(given)[left] - 2 * inner.mean(axis=1) + seen.mean()
        inner = inner - inner.mean(axis=1, keepdims=True) - seen.mean(axis=0) + seen.mean()
        white, rest = coder.scores.of_others(inner, squared)
        with torch.no_grad():
            decoded = coder.network.missed(torch.from_numpy(white)).numpy()
        missed += float(np.sum(rest + decoded * coder.scores.scale**2))
        spread += float(np.sum(squared))
    return float(np.sqrt(missed / spread))


def decoded_grid(
    coordinates: ArrayLike, points: int = 25, margin: float = 0.1
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a grid over a map: axis_1 and axis_2 (points,), and all its points (points**2, 2).

    The grid reaches ``margin`` of the map's extent beyond the ``coordinates`` (M, 2) along each
    axis. Its points are in C order: values at them, reshaped to (points, points), lie over
    (axis_1, axis_2).
    Raises TopographError for coordinates of another shape or fewer than 2 points.
    """
    if points < 2:
        raise TopographError(f"points is {points}; allowed: 2 or more along each axis")
    drawn = _checked_coordinates(coordinates)
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    beyond = margin * (high - low)
    axes = np.linspace(low - beyond, high + beyond, points).T
    flat = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    return axes[0], axes[1], flat


def _scores(gram: ArrayLike, components: int) -> Scores:
    if np.size(gram) < 9:
        raise TopographError(
            f"the Gram matrix has shape {np.shape(gram)}; allowed: (M, M) with M of 3 or more; "
            "a map needs at least 3 points"
        )
    scores = principal_scores(gram, components)
    squared = np.diagonal(centred(gram))
    if not squared.sum() > RESOLVED_SPREAD * np.trace(gram):
        raise TopographError(
            f"the {len(scores)} points all coincide to rounding; allowed: points that differ; "
            "count them from an origin among them, or leave the map out"
        )
    variances = np.mean(scores**2, axis=0)
    kept = variances > RESOLVED_VARIANCE * len(scores) * variances[0]
    scores, variances = scores[:, kept], variances[kept]
    rest = np.maximum(squared - np.sum(scores**2, axis=1), 0.0)
    white = scores / np.sqrt(variances)
    scale = float(np.sqrt(squared.mean()))
    # Eigenvectors of small eigenvalues are orthogonal to 1 only nearly.
    return Scores(white - white.mean(axis=0), np.sqrt(variances) / scale, scale, rest)


def _perceptron(inputs: int, width: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), last
    )


@torch.enable_grad()
def _train(network: Network, white: Tensor, rest: float, epochs: int) -> FloatArray:
    """Leave the network at its lowest error; return the relative errors (epochs run + 1,).

    ``rest`` is the part of the squared error that lies outside the components.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, eps=EPSILON)
    losses: list[float] = []
    best: dict[str, Tensor] = {}
    for _ in range(epochs + 1):
        loss = network.missed(white).mean()
        error = float(np.sqrt(loss.item() + rest))
        if not losses or error < min(losses):
            best = {name: value.clone() for name, value in network.state_dict().items()}
        losses.append(error)
        if _stalled(losses):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.load_state_dict(best)
    return np.array(losses)


def _stalled(losses: list[float]) -> bool:
    before, lately = losses[:-PATIENCE], losses[-PATIENCE:]
    return bool(before) and min(lately) >= (1 - LEAST_GAIN) * min(before)


def _checked_coordinates(coordinates: ArrayLike) -> FloatArray:
    found = np.asarray(coordinates, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 2:
        raise TopographError(
            f"coordinates have shape {found.shape}; allowed: (P, 2); pass one row per point"
        )
    return found
