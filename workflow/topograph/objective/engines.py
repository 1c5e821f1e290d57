"""Two engines: a tile of parameter points in one pass, or one point at a time in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.func import vmap

from topograph.foundation.errors import TopographError, unknown_name
from topograph.objective.vectors import flatten_each, unflatten

Parameters = Mapping[str, Tensor]
Terms = Callable[[Parameters], dict[str, Tensor]]
ENGINES = ("stacked", "in-place")
# Numbers that a tile holds: enough to fill the cores, few enough to stay in the cache.
TILE_NUMBERS = {"cpu": 2**20, "cuda": 2**26}
MOST_POINTS = {"cpu": 64, "cuda": 4096}


@contextmanager
def exact_products(allow_tf32: bool = False) -> Iterator[None]:
    """Forbid TF32, torch's default in convolutions, and algorithms chosen by timing."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    matmul.allow_tf32 = cudnn.allow_tf32 = allow_tf32
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before


class Batched(Protocol):
    """Evaluation of many parameter points in one pass, on rows of its own making."""

    @property
    def footprint(self) -> int:
        """Numbers that one parameter point holds at a time, roughly."""

    def lift(self, vectors: Parameters) -> Tensor:
        """Return vectors by name (M, …) as rows (M, L), a linear map."""

    def evaluate(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the terms, (P, …), at rows (P, L), which it may overwrite."""


class Placed(NamedTuple):
    """An objective on one device in one dtype.

    ``terms`` maps one parameter point to the loss and the metrics, differentiable. ``bind`` takes
    views of parameters and returns a function that evaluates whatever they hold. ``batched`` is
    None where many points at once are impossible.
    """

    center: dict[str, Tensor]
    terms: Terms
    bind: Callable[[Parameters], Callable[[], dict[str, Tensor]]]
    batched: Batched | None


class Mapped:
    """Any terms at many points, vectorised by torch.func.vmap."""

    def __init__(self, center: Parameters, terms: Terms) -> None:
        self._center, self._terms = center, terms
        self.footprint = max(8192, sum(value.numel() for value in center.values()))

    def lift(self, vectors: Parameters) -> Tensor:
        """Return vectors by name (M, …) as rows (M, N)."""
        return flatten_each({name: vectors[name] for name in self._center})

    def evaluate(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the terms, (P, …), at rows (P, N)."""
        return vmap(self._terms)(unflatten(rows, self._center))


class Engine(NamedTuple):
    """A buffer (tile, L) for a tile of points, how to fill it, and how to evaluate what it holds.

    ``lift`` maps parameter vectors (M, …) linearly to rows (M, L); ``run`` returns the terms,
    (tile, …), and may overwrite the buffer.
    """

    buffer: Tensor
    lift: Callable[[Parameters], Tensor]
    run: Callable[[], dict[str, Tensor]]


def default_tile(placed: Placed, engine: str) -> int:
    """Return how many points an engine evaluates per pass, a power of two."""
    if engine == "in-place" or placed.batched is None:
        return 1
    device = next(iter(placed.center.values())).device.type
    fitting = max(1, TILE_NUMBERS[device] // placed.batched.footprint)
    return min(2 ** (fitting.bit_length() - 1), MOST_POINTS[device])


def make_engine(placed: Placed, engine: str, tile: int) -> Engine:
    """Return an engine by name; ``in-place`` has tiles of one point.

    Raises TopographError for another name, or where many points at once are impossible.
    """
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if engine == "in-place":
        return _in_place(placed)
    if placed.batched is None:
        raise TopographError("engine 'stacked' cannot evaluate this objective; allowed: in-place")
    return _stacked(placed, placed.batched, tile)


def _stacked(placed: Placed, batched: Batched, tile: int) -> Engine:
    single = {name: value[None] for name, value in placed.center.items()}
    buffer = batched.lift(single).expand(tile, -1).clone()
    return Engine(buffer, batched.lift, lambda: batched.evaluate(buffer))


def _in_place(placed: Placed) -> Engine:
    """Evaluate the model on views of one flat buffer, convolution weights channels last."""

    def lift(vectors: Parameters) -> Tensor:
        return flatten_each({k: _channels_last(vectors[k]) for k in placed.center})

    buffer = lift({name: value[None] for name, value in placed.center.items()})
    views = {}
    parts = buffer[0].split([value.numel() for value in placed.center.values()])
    for (name, value), part in zip(placed.center.items(), parts, strict=True):
        views[name] = part.view(value.shape)
        if value.ndim == 4:
            out, inner, *kernel = value.shape
            views[name] = part.view(out, *kernel, inner).permute(0, 3, 1, 2)
    evaluate = placed.bind(views)
    if buffer.is_cuda:
        evaluate = _graphed(evaluate, buffer.device)
    return Engine(buffer, lift, lambda: {k: v[None] for k, v in evaluate().items()})


def _channels_last(vectors: Tensor) -> Tensor:
    return vectors.permute(0, 1, 3, 4, 2) if vectors.ndim == 5 else vectors


def _graphed(
    evaluate: Callable[[], dict[str, Tensor]], device: torch.device
) -> Callable[[], dict[str, Tensor]]:
    """Record an evaluation as a CUDA graph: one launch replays it on what the buffers hold.

    A loss that reads numbers back to the CPU cannot be recorded and is evaluated as it is.
    """
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.stream(stream):
            for _ in range(3):
                evaluate()
        torch.cuda.current_stream(device).wait_stream(stream)
        with torch.cuda.graph(graph, stream=stream):
            recorded = evaluate()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        torch.cuda.synchronize(device)
        return evaluate

    def replay() -> dict[str, Tensor]:
        graph.replay()
        return {name: value.clone() for name, value in recorded.items()}

    return replay
