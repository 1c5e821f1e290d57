"""Cases about curvature; each returns what it measured or fails with it."""

from __future__ import annotations

import numpy as np
import torch
from package import Package, Problem, check
from problems import bowl, formula, linear_regression, poisson, softmax_regression, spiked

SEEDS = 40


def _listed(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"


def _leading(package: Package, problem: Problem, expected: np.ndarray, tolerance: float) -> str:
    values, _ = package.eigenpairs(problem, len(expected))
    error = abs(np.sort(values) - np.sort(expected)).max() / abs(expected).max()
    text = f"{_listed(values)}; expected {_listed(expected)}"
    return check(bool(error < tolerance), text)


def eigenvalues_of_bowl(package: Package) -> str:
    """Well separated eigenvalues of both signs are found (faults 6, 11)."""
    problem, _ = bowl([10, -8, 6, 4.5, 3, 1, 0.5, 0.2])
    return _leading(package, problem, np.array([10, -8, 6, 4.5]), 1e-2)


def close_eigenvalues(package: Package) -> str:
    """At default settings close eigenvalues are sorted, real, exact to 1 percent (fault 11)."""
    spectrum = np.concatenate([np.linspace(10, 9, 11), np.linspace(1, 0, 39)])
    problem, hessian = bowl(spectrum)
    values, vectors = package.eigenpairs(problem, 5)
    rows = vectors.double().numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    residuals = np.linalg.norm(rows @ hessian - values[:, None] * rows, axis=1) / abs(values)
    # A rounding error in the order of two equal numbers is no disorder.
    ordered = bool((np.diff(values) < 1e-4).all())
    text = f"{_listed(values)}, largest relative residual {residuals.max():.1e}"
    return check(
        bool(np.isrealobj(values)) and ordered and residuals.max() < 1e-2,
        f"{text}; expected {_listed(spectrum[:5])}",
    )


def linear_regression_hessian(package: Package) -> str:
    """The Hessian of a sum of squares is 2 I (x) X'X (fault 6)."""
    problem, expected = linear_regression(2)
    return _leading(package, problem, expected[:6], 1e-2)


def tenfold_eigenvalue(package: Package) -> str:
    """All ten copies of the largest eigenvalue are found, then the next (fault 11)."""
    problem, expected = linear_regression(10)
    return _leading(package, problem, expected[:11], 1e-2)


def softmax_regression_hessian(package: Package) -> str:
    """The Hessian of soft-max regression is its closed form (fault 6)."""
    problem, hessian = softmax_regression()
    expected = np.linalg.eigvalsh(hessian)[::-1]
    return _leading(package, problem, expected[:3], 1e-2)


def batch_size(package: Package) -> str:
    """The Hessian does not depend on how the data are cut (fault 6)."""
    largest = [
        package.eigenpairs(softmax_regression(sizes)[0], 1)[0][0]
        for sizes in ((24,), (10, 10, 4), (1,) * 24)
    ]
    apart = np.ptp(largest) / largest[0]
    return check(apart < 1e-2, f"largest eigenvalue {_listed(np.array(largest))}; expected equal")


def _deep_linear(package: Package, at: tuple[float, float], expected: tuple[float, float]) -> str:
    def loss(w: torch.Tensor) -> torch.Tensor:
        return (w[0] * w[1] - 1) ** 2 / 2

    found = [
        float(package.eigenpairs(formula(loss, at), 1, which)[0][0])
        for which in ("smallest", "largest")
    ]
    text = f"{found[0]:.3f} and {found[1]:.3f}; expected {expected[0]:g} and {expected[1]:g}"
    return check(bool(np.allclose(found, expected, atol=1e-2)), text)


def deep_linear_minimum(package: Package) -> str:
    """(w1 w2 - 1)^2/2 has eigenvalues 0 and w1^2 + w2^2 on its minima (fault 11)."""
    return _deep_linear(package, (2, 0.5), (0, 4.25))


def deep_linear_saddle(package: Package) -> str:
    """(w1 w2 - 1)^2/2 has eigenvalues -1 and 1 at the origin (fault 11)."""
    return _deep_linear(package, (0, 0), (-1, 1))


def sine_features(package: Package) -> str:
    """-u'' = f with sine features has the spectrum (k pi)^4 (section 6)."""
    problem, expected = poisson()
    return _leading(package, problem, expected[:5], 1e-2)


def eigenvector_slice(package: Package) -> str:
    """A slice along an eigenvector curves by its eigenvalue (fault 4)."""
    problem, _ = bowl([9, 5, 2, 1, 0.5, 0.2], mixing=0.3, first=2)
    grid = package.eigen_plane(problem, 5, 0.5)
    units = np.linalg.norm(grid.units, axis=1)
    curvatures = []
    for axis, losses in enumerate((grid.losses[:, 2], grid.losses[2])):
        step = np.diff(grid.axes[axis])[0] * units[axis]
        curvatures.append((losses[1] - 2 * losses[2] + losses[3]) / step**2)
    ratio = curvatures[0] / curvatures[1]
    text = f"ratio of the first two curvatures {ratio:.3f}; expected {9 / 5:.3f}"
    return check(abs(ratio - 9 / 5) < 0.02, text)


def _trace(package: Package, problem: Problem, expected: float) -> str:
    """Judge by the package's own standard error, or by 5 percent where it gives none."""
    found = [package.trace(problem, seed) for seed in range(SEEDS)]
    errors = np.array([abs(value - expected) for value, _ in found]) / expected
    given = [error for _, error in found if error is not None]
    text = f"relative error: median {np.median(errors):.2g}, worst {errors.max():.2g}"
    if not given:
        share = (errors < 0.05).mean()
        return check(share >= 0.95, f"{text}; under 5% in {share:.0%} of seeds, no standard error")
    spread = np.array(given) / expected
    share = (errors <= 3 * spread + 1e-5).mean()
    text += f"; within 3 standard errors (median {np.median(spread):.2g}) in {share:.0%} of seeds"
    return check(bool(share >= 0.95 and np.median(spread) < 0.05), text)


def trace_of_bowl(package: Package) -> str:
    """The trace of a quadratic is the sum of its eigenvalues (fault 10)."""
    problem, hessian = bowl(np.linspace(0.5, 2, 60))
    return _trace(package, problem, float(np.trace(hessian)))


def trace_with_outliers(package: Package) -> str:
    """2000 parameters with 10 outliers: the error is what the package says (fault 10)."""
    bulk = np.random.default_rng(0).uniform(0, 0.02, 2000)
    problem, expected, _ = spiked(bulk, np.linspace(10, 50, 10))
    return _trace(package, problem, expected)


def density_of_bowl(package: Package) -> str:
    """The first two moments of the density are tr H / N and tr H^2 / N (fault 12)."""
    size = 400
    bulk = np.random.default_rng(0).uniform(0.5, 1.5, size)
    problem, first, second = spiked(bulk, np.array([4.0, 5.0, 6.0, 7.0]))
    values, weights = package.density(problem, 0)
    moments = [float(weights @ values), float(weights @ values**2)]
    expected = [first / size, second / size]
    text = f"moments {_listed(np.array(moments))}; expected {_listed(np.array(expected))}"
    return check(bool(np.allclose(moments, expected, rtol=0.1)), text)
