"""Cases about grids of losses; each returns what it measured or fails with it."""

from __future__ import annotations

import numpy as np
import torch
from package import NotOffered, Package, Problem, check
from problems import batch_norm_network, bowl, formula, linear_loss, relu_network

E = torch.eye(3)
AT = (1.0, 2.0, 2.0)


def _loss(problem: Problem) -> float:
    with torch.no_grad():
        total = sum(len(x) for x, _ in problem.batches)
        parts = [problem.loss(problem.model(x), y) * len(x) for x, y in problem.batches]
        return float(sum(parts)) / total


def _slice_of_bowl(package: Package, n: int) -> str:
    problem, hessian = bowl([9, 5, 4, 2, 1, 0.5])
    directions = torch.tensor(np.random.default_rng(0).standard_normal((n, 6))).float()
    grid = package.grid(problem, directions, 5, 0.5)
    alphas = np.stack(np.meshgrid(*grid.axes, indexing="ij"), axis=-1).reshape(-1, n)
    moved = alphas @ grid.units
    above = np.einsum("pi,ij,pj->p", moved, hessian, moved) / 2
    found = grid.losses.reshape(-1)
    # The unit of alpha is the package's own affair: one vertex beside the centre fixes it.
    beside = np.ravel_multi_index((1, *[2] * (n - 1)), grid.losses.shape)
    expected = 3 + above * (found[beside] - 3) / above[beside]
    error = abs(found - expected)
    rest = error[expected < expected.max() - 1e-3].max()
    text = f"largest error {error.max():.1e}, highest vertices aside {rest:.1e}"
    return check(error.max() < 1e-4, f"{text}; expected under 1e-4")


def slice_of_bowl_2d(package: Package) -> str:
    """Every vertex of a 2-D slice of a quadratic is d'Hd/2 (faults 1, 4, 15)."""
    return _slice_of_bowl(package, 2)


def slice_of_bowl_3d(package: Package) -> str:
    """Every vertex of a 3-D slice of a quadratic is d'Hd/2 (faults 4, 5, 15)."""
    return _slice_of_bowl(package, 3)


def straight_valley(package: Package) -> str:
    """The valley of a separable bowl lies at one index in all rows (fault 1)."""
    problem = formula(lambda x: (x[0] - 1.1) ** 2 + 3 * (x[1] - 2.2) ** 2, AT)
    losses = package.grid(problem, E[:2], 6, 1.0).losses
    columns = losses.argmin(axis=1).tolist()
    return check(len(set(columns)) == 1, f"lowest column of each row {columns}; expected one value")


def centre_value(package: Package) -> str:
    """The middle of an odd grid is the model's own loss (fault 3)."""
    problem = relu_network()
    expected = _loss(problem)
    found = package.random_plane(problem, 5, 1.0, 0)[2, 2]
    return check(
        abs(found - expected) <= 1e-6 * expected, f"{found:.6f}; loss of the model {expected:.6f}"
    )


def _positions(package: Package, points: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where a line was evaluated and the positions that the package states."""
    plus = package.grid(formula(lambda x: x[0], AT), E[:1], points, distance)
    if plus.coordinates is None:
        raise NotOffered("returns no coordinates")
    minus = package.grid(formula(lambda x: -x[0], AT), E[:1], points, distance)
    # Where one run has its highest value, which Landscaper blurs, the other has its lowest.
    top = np.arange(points) == plus.losses.argmax()
    return np.where(top, -minus.losses, plus.losses) - AT[0], plus.axes[0] * plus.units[0, 0]


def ends_of_axes(package: Package) -> str:
    """Losses were evaluated at the stated alphas, the ends among them (fault 14)."""
    found, stated = _positions(package, 11, 0.5)
    reach = found[-1] / stated[-1]
    error = abs(found - stated).max()
    return check(error < 1e-5, f"ends at {reach:.4f} of the stated distance; expected 1")


def even_grid(package: Package) -> str:
    """A grid with an even number of points is symmetric (fault 14)."""
    found, stated = _positions(package, 10, 0.5)
    ends = found[[0, -1]] / stated[-1]
    text = f"ends at {ends[0]:.3f} and {ends[1]:.3f} of the stated distance; expected -1 and 1"
    return check(abs(ends.sum()) < 1e-5, text)


def distance_scales_reach(package: Package) -> str:
    """Twice the distance reaches twice as far (faults 9, 14)."""
    problem = linear_loss()
    near, far = (np.ptp(package.random_plane(problem, 6, d, 0)) for d in (1.0, 2.0))
    return check(abs(far / near - 2) < 0.1, f"reaches {far / near:.2f} times as far; expected 2")


def axis_order(package: Package) -> str:
    """The first index of the losses belongs to the first direction (fault 7)."""
    losses = package.grid(formula(lambda x: 10 * x[0] + x[1], AT), E[:2], 5, 1.0).losses
    ratio = np.diff(losses, axis=0).mean() / np.diff(losses, axis=1).mean()
    return check(8 < ratio < 12, f"slope ratio of the two axes {ratio:.1f}; expected 10")


def non_square(package: Package) -> str:
    """A grid of 3 x 5 points keeps 10x + y in place (fault 7)."""
    grid = package.grid(formula(lambda x: 10 * x[0] + x[1], AT), E[:2], (3, 5), 1.0)
    expected = 12 + 10 * grid.axes[0][:, None] + grid.axes[1]
    error = abs(grid.losses - expected).max()
    return check(grid.losses.shape == (3, 5) and error < 1e-4, f"largest error {error:.1e}")


def listed_coordinates(package: Package) -> str:
    """The coordinates that go on to the topology belong to their losses (fault 16)."""
    grid = package.grid(formula(lambda x: 10 * x[0] + x[1], AT), E[:2], 5, 1.0)
    if grid.coordinates is None:
        raise NotOffered("returns no coordinates")
    expected = grid.coordinates @ [10.0, 1.0]
    correlation = np.corrcoef(grid.losses.reshape(-1), expected)[0, 1]
    return check(
        correlation > 0.999, f"correlation of losses and 10x + y {correlation:.3f}; expected 1"
    )


def not_finite(package: Package) -> str:
    """NaN and infinity stay where they are (fault 15)."""

    def loss(x: torch.Tensor) -> torch.Tensor:
        inner = torch.where(x[0] > 2.5, torch.full_like(x[0], torch.inf), x[0])
        return torch.where(x[0] < 0, torch.full_like(x[0], torch.nan), inner)

    found = package.grid(formula(loss, (1, 0, 0)), E[:1], 5, 2.0).losses
    inner = np.isfinite(found[1:-1]).all()
    text = f"ends {found[0]:.2f} and {found[-1]:.2f}; expected nan and inf"
    return check(bool(np.isnan(found[0]) and found[-1] == np.inf and inner), text)


def zero_and_negative(package: Package) -> str:
    """Losses of zero and below are losses like others (fault 8)."""

    def loss(x: torch.Tensor) -> torch.Tensor:
        steps = torch.tensor([0.8, 1.6, 2.5]).to(x)
        return (x[0] > steps).sum().to(x) - 2

    found = package.grid(formula(loss, (1, 0, 0)), E[:1], 5, 2.0).losses
    # The highest vertex is judged by the slices of the bowl.
    text = f"{found[:4].tolist()}; expected [-2, -2, -1, 0]"
    return check(found[:4].tolist() == [-2, -2, -1, 0], text)


def repeated(package: Package) -> str:
    """The same call gives the same bits (faults 1, 15)."""
    problem = relu_network()
    size = sum(p.numel() for p in problem.model.parameters())
    directions = torch.randn(2, size, generator=torch.Generator().manual_seed(0)) / 10
    first, second = (package.grid(problem, directions, 5, 1.0).losses for _ in range(2))
    differing = int((first != second).sum())
    return check(differing == 0, f"{differing} of {first.size} losses differ; expected 0")


def any_order(package: Package) -> str:
    """A shuffled list of points gives the grid's bits; engines agree to rounding (fault 1)."""
    if not package.engines:
        raise NotOffered("samples no list of points and has one engine")
    problem = relu_network()
    size = sum(p.numel() for p in problem.model.parameters())
    directions = torch.randn(2, size, generator=torch.Generator().manual_seed(0)) / 10
    axis = np.linspace(-1, 1, 9)
    alphas = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    order = np.random.default_rng(0).permutation(len(alphas))
    results = []
    for engine in package.engines:
        straight = package.points(problem, directions, alphas, engine)
        shuffled = package.points(problem, directions, alphas[order], engine)
        differing = int((straight[order] != shuffled).sum())
        check(differing == 0, f"{engine}: {differing} of 81 losses depend on the order")
        results.append(straight)
    apart = max(abs(r / results[0] - 1).max() for r in results)
    return check(apart < 1e-5, f"no bit depends on the order; engines {apart:.0e} apart")


def model_untouched(package: Package) -> str:
    """Parameters, buffers and modes come back as they were (faults 3, 18)."""
    problem = batch_norm_network()
    before = _state(problem)
    calls = (
        lambda: package.random_plane(problem, 3, 1.0, 0),
        lambda: package.eigenpairs(problem, 1),
    )
    made = 0
    for call in calls:
        try:
            call()
            made += 1
        except NotOffered:
            continue
    changed = [name for name, value in _state(problem).items() if value != before[name]]
    return check(made > 0 and not changed, f"changed: {', '.join(changed[:3]) or 'nothing'}")


def _state(problem: Problem) -> dict[str, object]:
    model = problem.model
    state: dict[str, object] = {k: v.numpy().tobytes() for k, v in model.state_dict().items()}
    state |= {f"mode of {name or 'model'}": m.training for name, m in model.named_modules()}
    return state | {f"requires_grad of {n}": p.requires_grad for n, p in model.named_parameters()}
