"""How a landscape is evaluated: device, precision, engine, tile and threads, fixed beforehand."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import torch

from topograph.foundation.errors import TopographError, unknown_name
from topograph.objective.engines import ENGINES, Engine, default_tile, exact_products, make_engine
from topograph.objective.objective import Objective

# The type that parameters and sums have, and what products may use instead.
DTYPES: dict[str, tuple[torch.dtype, str]] = {
    "float32": (torch.float32, "exact"),
    "float64": (torch.float64, "exact"),
    "bfloat16": (torch.float32, "bfloat16"),
    "tf32": (torch.float32, "tf32"),
}
# A noisy clock must not change the engine from run to run: another than the expected one is
# tried where the landscape takes a while, and chosen where it is clearly faster.
SECONDS_WORTH_A_PROBE = 20.0
CLEARLY_FASTER = 1.5
PROBE_RUNS = 3
SECONDS_OF_A_PROBE = 0.2
TEXTS = ("key", "engine", "dtype", "device")


@dataclass(frozen=True)
class Plan:
    """What fixes every bit of a landscape, beside the points: written before the first of them.

    ``key`` names the objective, the directions, the points and the dtype.
    """

    key: str
    engine: str
    dtype: str
    device: str
    tile: int
    threads: int

    @staticmethod
    def of(attributes: Mapping[str, Any]) -> Plan:
        """Return the plan that a landscape's attributes record."""
        key, engine, dtype, device = (str(attributes[name]) for name in TEXTS)
        return Plan(key, engine, dtype, device, int(attributes["tile"]), int(attributes["threads"]))

    def to_dict(self) -> dict[str, Any]:
        """Return builtins for a JSON file."""
        return asdict(self)

    @property
    def place(self) -> tuple[torch.dtype, torch.device]:
        """The dtype of parameters and sums, and the device."""
        return DTYPES[self.dtype][0], torch.device(self.device)

    def in_double(self) -> Plan:
        """Return the same plan in float64, one size of tile for both."""
        return replace(self, dtype="float64")

    def with_half_the_tile(self) -> Plan:
        """Return the plan to start again with when memory ran out.

        Raises TopographError where a tile is one point already.
        """
        if self.tile == 1:
            raise TopographError(
                f"one parameter point does not fit into the memory of {self.device!r}; give the "
                "objective smaller batches, or choose another device"
            )
        return replace(self, tile=self.tile // 2)

    def make_engine(self, objective: Objective) -> Engine:
        """Return the engine that the plan names, on the plan's device."""
        return make_engine(objective.at(*self.place), self.engine, self.tile)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Evaluate inside the block with the plan's threads and precision, without a graph."""
        products = DTYPES[self.dtype][1]
        before = torch.get_num_threads()
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(exact_products(products == "tf32"))
            if products == "bfloat16":
                stack.enter_context(
                    torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)
                )
            torch.set_num_threads(self.threads)
            try:
                yield
            finally:
                torch.set_num_threads(before)


def check_options(objective: Objective, engine: str, dtype: str, device: str | None) -> None:
    """Raise TopographError for an unknown engine, dtype or device, or an impossible engine."""
    if engine not in ("auto", *ENGINES):
        raise unknown_name("engine", engine, ("auto", *ENGINES))
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    if engine not in ("auto", *objective.engines):
        raise TopographError(
            f"engine {engine!r} cannot evaluate this objective; allowed: "
            f"auto, {', '.join(objective.engines)}"
        )
    existing_device(device)


def make_plan(
    objective: Objective, key: str, points: int, engine: str, dtype: str, device: str | None
) -> Plan:
    """Return the plan for a number of points, the engine chosen by a short timed probe."""
    place = existing_device(device)
    plans = []
    for name in objective.engines if engine == "auto" else (engine,):
        tile = default_tile(objective.at(DTYPES[dtype][0], place), name)
        plans.append(Plan(key, name, dtype, str(place), tile, torch.get_num_threads()))
    return _fastest(objective, plans, points)


def existing_device(device: str | None) -> torch.device:
    """Return a torch device; raise TopographError where the machine has no such one."""
    available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    try:
        found = torch.device(device or "cpu")
    except RuntimeError as error:
        raise unknown_name("device", device, available) from error
    if found.type == "cuda" and found.index is None and len(available) > 1:
        found = torch.device("cuda", torch.cuda.current_device())
    if str(found) not in available:
        raise TopographError(
            f"device {device!r} does not exist on this machine; allowed: {', '.join(available)}"
        )
    return found


def _fastest(objective: Objective, plans: Sequence[Plan], points: int) -> Plan:
    plans = sorted(plans, key=lambda plan: plan.engine != objective.engine)
    expected = plans[0]
    if len(plans) == 1:
        return expected
    times = {expected: _probe(objective, expected)}
    if times[expected] * points < SECONDS_WORTH_A_PROBE:
        return expected
    times |= {plan: _probe(objective, plan) for plan in plans[1:]}
    fastest = min(plans, key=lambda plan: times[plan])
    chosen = fastest if times[fastest] * CLEARLY_FASTER < times[expected] else expected
    told = ", ".join(f"{p.engine} {1000 * times[p]:.3g} ms a point" for p in plans)
    print(f"engine {chosen.engine}: {told}", file=sys.stderr)
    return chosen


def _probe(objective: Objective, plan: Plan) -> float:
    """Return seconds per point, infinite where the engine cannot evaluate the objective."""
    times: list[float] = []
    try:
        with plan.in_force():
            engine = plan.make_engine(objective)
            # The first run warms up; a slow one is told well enough by its first.
            while len(times) <= PROBE_RUNS and not (times and times[0] > SECONDS_OF_A_PROBE):
                _wait(plan)
                start = time.perf_counter()
                engine.run()
                _wait(plan)
                times.append(time.perf_counter() - start)
    # A loss of the user's may be impossible to vectorise, or a tile too large: not this engine.
    except (RuntimeError, MemoryError):
        return float("inf")
    return median(times[1:] or times) / plan.tile


def _wait(plan: Plan) -> None:
    if plan.device.startswith("cuda"):
        torch.cuda.synchronize(plan.device)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, as torch says it on either device."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "allocate memory" in str(error) or "not enough memory" in str(error)
