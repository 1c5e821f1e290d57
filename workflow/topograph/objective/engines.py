"""Two engines: a tile of parameter points in one pass, or each point in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from topograph.foundation.errors import TopographError, unknown_name
from topograph.objective.vectors import flatten_each, unflatten

Parameters = Mapping[str, Tensor]
Terms = Callable[[Parameters], dict[str, Tensor]]
Evaluate = Callable[[], dict[str, Tensor]]
ENGINES = ("stacked", "in-place")
# Numbers that a tile holds: enough to fill the cores, few enough to stay in the cache.
TILE_NUMBERS = {"cpu": 2**20, "cuda": 2**26}
MOST_POINTS = {"cpu": 64, "cuda": 4096}
# Points that run side by side in place: each needs the memory of a forward pass.
MOST_WORKERS = 4


@contextmanager
def exact_products(allow_tf32: bool = False) -> Iterator[None]:
    """Forbid TF32, torch's default in convolutions, and algorithms chosen by timing.

    Attention goes by its plain formula: the fused kernels have no second derivative.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    matmul.allow_tf32 = cudnn.allow_tf32 = allow_tf32
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        with sdpa_kernel(SDPBackend.MATH):
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
    None where many points at once are impossible, ``concurrent`` False where threads may not
    evaluate it side by side.
    """

    center: dict[str, Tensor]
    terms: Terms
    bind: Callable[[Parameters], Evaluate]
    batched: Batched | None
    concurrent: bool = True


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
    """Return how many points an engine evaluates per pass, stacked or side by side."""
    device = next(iter(placed.center.values())).device.type
    if engine == "in-place" or placed.batched is None:
        several = device == "cpu" and placed.concurrent
        return min(torch.get_num_threads(), MOST_WORKERS) if several else 1
    fitting = max(1, TILE_NUMBERS[device] // placed.batched.footprint)
    return min(2 ** (fitting.bit_length() - 1), MOST_POINTS[device])


def make_engine(placed: Placed, engine: str, tile: int) -> Engine:
    """Return an engine by name, for tiles of a number of points.

    Raises TopographError for another name, or where many points at once are impossible.
    """
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if engine == "in-place":
        return _in_place(placed, tile)
    if placed.batched is None:
        raise TopographError("engine 'stacked' cannot evaluate this objective; allowed: in-place")
    return _stacked(placed, placed.batched, tile)


def _stacked(placed: Placed, batched: Batched, tile: int) -> Engine:
    single = {name: value[None] for name, value in placed.center.items()}
    buffer = batched.lift(single).expand(tile, -1).clone()
    return Engine(buffer, batched.lift, lambda: batched.evaluate(buffer))


def _in_place(placed: Placed, tile: int) -> Engine:
    """Evaluate the model on views of a flat buffer, convolution weights channels last.

    A tile of several points has a row, a copy of the model and a thread for each: cores share
    nothing but memory, which takes less time than sharing each operation.
    """

    def lift(vectors: Parameters) -> Tensor:
        return flatten_each({k: _channels_last(vectors[k]) for k in placed.center})

    single = lift({name: value[None] for name, value in placed.center.items()})
    buffer = single.expand(tile, -1).clone()
    evaluations = [placed.bind(_views(row, placed.center)) for row in buffer]
    if buffer.is_cuda:
        evaluations = [_graphed(evaluate, buffer.device) for evaluate in evaluations]
    if tile == 1:
        return Engine(buffer, lift, lambda: {k: v[None] for k, v in evaluations[0]().items()})
    return Engine(buffer, lift, _side_by_side(evaluations))


def _views(row: Tensor, center: Parameters) -> dict[str, Tensor]:
    parts = row.split([value.numel() for value in center.values()])
    views = {}
    for (name, value), part in zip(center.items(), parts, strict=True):
        views[name] = part.view(value.shape)
        if value.ndim == 4:
            out, inner, *kernel = value.shape
            views[name] = part.view(out, *kernel, inner).permute(0, 3, 1, 2)
    return views


def _side_by_side(evaluations: Sequence[Evaluate]) -> Evaluate:
    """Return one evaluation that runs each of several on a thread of its own."""
    pool = ThreadPoolExecutor(len(evaluations))
    dtype = torch.get_autocast_dtype("cpu")

    def run() -> dict[str, Tensor]:
        threads = torch.get_num_threads()
        autocast = torch.is_autocast_enabled("cpu")

        def one(evaluate: Evaluate) -> dict[str, Tensor]:
            # Each thread has modes of its own.
            torch.set_num_threads(max(1, threads // len(evaluations)))
            with torch.no_grad(), torch.autocast("cpu", dtype=dtype, enabled=autocast):
                return evaluate()

        try:
            found = list(pool.map(one, evaluations))
        finally:
            torch.set_num_threads(threads)
        return {name: torch.stack([terms[name] for terms in found]) for name in found[0]}

    return run


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
