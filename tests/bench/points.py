"""Points per second against Landscaper and loss-landscapes, and against the bare forward pass."""

from __future__ import annotations

import statistics

from limits import peak
from rival_loops import landscaper, plane
from subjects import SUBJECTS, Subject, bare
from timing import alternate, begin, line, publish, ratio

import topograph as tg

FORWARDS = {"pinn": 200, "mlp": 100, "unet": 10, "resnet20": 10}


def measure(subject: Subject, device: str, repeats: int) -> dict[str, object]:
    """Time all sides in turn; every rate is end to end, fixed costs included."""
    forward = bare(subject, device)
    best, flop = peak(subject, device)
    dims = subject.dimensions
    three = tg.random_directions(subject.objective, dims)
    two = tg.random_directions(subject.objective, 2)

    def sample(directions: object, points: int) -> None:
        tg.sample(subject.objective, directions, points=points, distance=0.1, device=device)

    def forwards() -> None:
        for _ in range(FORWARDS[subject.name]):
            forward()

    works = {
        "own": lambda: sample(three, subject.own),
        "landscaper": landscaper(subject, device, subject.rival, dims),
        "small": lambda: sample(three, subject.small),
        "plane": plane(subject, device, subject.plane),
        "bare": forwards,
        "peak": best,
    }
    if dims != 2:
        works["own_plane"] = lambda: sample(two, subject.own_plane)
    counts = {
        "own": subject.own**dims,
        "landscaper": subject.rival**dims,
        "small": subject.small**dims,
        "plane": subject.plane**2,
        "own_plane": subject.own_plane**2,
        "bare": FORWARDS[subject.name],
        "peak": 1,
    }
    times = alternate(works, device, repeats)
    times.setdefault("own_plane", times["own"])
    per = {name: [t / counts[name] for t in found] for name, found in times.items()}
    more = counts["own"] - counts["small"]
    steady = [(a - b) / more for a, b in zip(times["own"], times["small"], strict=True)]
    rate = {name: 1 / statistics.median(found) for name, found in per.items()}
    ideal = [t / flop * subject.flops() for t in times["peak"]]
    return {
        "objective": subject.name,
        "dimensions": dims,
        "topograph_points_per_second": rate["own"],
        "landscaper_points_per_second": rate["landscaper"],
        "times_landscaper": ratio(per["landscaper"], per["own"]),
        "topograph_2d_points_per_second": rate["own_plane"],
        "loss_landscapes_2d_points_per_second": rate["plane"],
        "times_loss_landscapes": ratio(per["plane"], per["own_plane"]),
        "bare_milliseconds": 1e3 / rate["bare"],
        "steady_milliseconds": 1e3 * statistics.median(steady),
        "overhead_steady": ratio(steady, per["bare"]) - 1,
        "overhead_end_to_end": ratio(per["own"], per["bare"]) - 1,
        "fraction_of_peak": ratio(ideal, steady),
        "topograph_points": counts["own"],
        "landscaper_points": counts["landscaper"],
        "loss_landscapes_points": counts["plane"],
    }


def run(device: str, names: list[str], repeats: int) -> None:
    """Print and write one line an objective."""
    start = begin(__file__)
    rows = []
    for name in names:
        rows.append(measure(SUBJECTS[name](), device, repeats))
        line(rows[-1])
    publish("points", rows, device, start)
