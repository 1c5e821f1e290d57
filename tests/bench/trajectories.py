"""Retraining against the plain way and stacked, PHATE against its package, the Gram route."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from timing import ROOT, alternate, begin, line, publish, ratio
from torch.nn import functional as F

import topograph as tg
from topograph.config.runs import TRAINING, Cell
from topograph.embedding.phate import diffuse
from topograph.embedding.tree import artificial_tree
from topograph.families.build import build_data, build_loss
from topograph.families.result import load_state
from topograph.families.supervised import build_network, evaluate, make_optimiser, train_epoch
from topograph.families.training import train, trained_state
from topograph.foundation.seeds import derive_seed
from topograph.geometry.gram import distances
from topograph.trajectory.offsets import gram_of, offset_file, write_offset

SEEDS, STEPS = (0, 1, 2, 3), (0.25, 0.5, 0.75, 1.0)
EPOCHS, FEW_EPOCHS = 40, 4
PARAMETERS, POINTS = 1_000_000, 640
CONTENT = {
    "family": "supervised",
    "data": {"target": "digits"},
    "model": {"target": "wide-resnet", "kwargs": {"depth": 10, "width": 1, "in_channels": 1}},
    "optimiser": {"name": "sgd", "learning_rate": 0.1, "weight_decay": 1e-4},
    "schedule": {"epochs": 1, "batch": 128},
}


def run(device: str, only: list[str], repeats: int) -> None:
    """Measure the parts that are named and write their table."""
    start, rows = begin(__file__), []
    for name, part in PARTS.items():
        if name in only:
            rows += part(device, repeats)
    publish("trajectories", rows, device, start)


def retraining(device: str, repeats: int) -> list[dict[str, object]]:
    """Time 16 trajectories of a WideResNet-10-1 on digits, two processes on both sides."""
    cell = Cell("digits", (0,), TRAINING.validate_python(CONTENT))
    with tempfile.TemporaryDirectory() as folder:
        train(cell, folder)
        weights = Path(folder) / "weights.safetensors"

        def own() -> None:
            _retrain(cell, weights, EPOCHS, workers=2, stacked=False)

        def plain() -> None:
            jumps = [(seed, step) for seed in SEEDS for step in STEPS]
            with ProcessPoolExecutor(2, get_context("spawn")) as pool:
                for done in [pool.submit(_plainly, weights, jumps[i::2]) for i in range(2)]:
                    done.result()

        times = alternate({"own": own, "plain": plain}, "cpu", repeats)
    row = {"work": "retraining", "size": f"{len(SEEDS) * len(STEPS)} x {EPOCHS} epochs"}
    return [_row({**row, "rival": "two plain processes"}, times["own"], times["plain"])]


def stacked(device: str, repeats: int) -> list[dict[str, object]]:
    """Time 16 trajectories as one training on a device against two processes, of two networks.

    A probe of each is what decides; on a processor it is the small network that gains.
    """
    rows = []
    small = {"target": "trajectories:Perceptron"}
    for name, model in (("WideResNet-10-1", CONTENT["model"]), ("perceptron", small)):
        cell = Cell("digits", (0,), TRAINING.validate_python({**CONTENT, "model": model}))
        with tempfile.TemporaryDirectory() as folder:
            train(cell, folder)
            weights = Path(folder) / "weights.safetensors"
            ways = {
                "own": {"stacked": True, "device": device},
                "one by one": {"stacked": False, "workers": 2},
            }
            calls = {
                way: lambda c=cell, w=weights, o=options: _retrain(c, w, FEW_EPOCHS, **o)
                for way, options in ways.items()
            }
            times = alternate(calls, device, repeats)
        row = {"work": "stacked", "size": f"16 {name} x {FEW_EPOCHS} epochs"}
        rows.append(_row({**row, "rival": "one by one"}, times["own"], times["one by one"]))
    return rows


class Perceptron(torch.nn.Sequential):
    """A network whose steps are mostly waiting."""

    def __init__(self) -> None:
        linear = torch.nn.Linear
        super().__init__(torch.nn.Flatten(), linear(64, 32), torch.nn.ReLU(), linear(32, 10))


def _retrain(cell: Cell, weights: Path, epochs: int, **options: object) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        asked = {"seeds": SEEDS, "steps": STEPS, "epochs": epochs}
        tg.jump_and_retrain(cell, weights, scratch, **asked, **options)


def _plainly(weights: Path, jumps: list[tuple[int, float]]) -> None:
    """Retrain as torch has it out of the box: its layout, its SGD, its modules."""
    torch.set_num_threads(1)
    training = TRAINING.validate_python(CONTENT)
    dataset, loss = build_data(training.data), build_loss(training.loss)
    state = trained_state(weights, 0, "last")[1]
    for seed, step in jumps:
        model = load_state(build_network(training, dataset, 0), state)
        first = (dataset.train_inputs[:1], dataset.train_targets[:1])
        objective = tg.Objective.from_model(model.eval(), F.cross_entropy, first)
        vectors = tg.random_directions(objective, 1, seed=derive_seed(seed, "jump")).vectors
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter += step * vectors[name][0]
        settings = training.optimiser.model_copy(update={"learning_rate": 1e-3})
        optimiser = make_optimiser(model, settings)
        evaluate(model, dataset, loss)
        for epoch in range(1, EPOCHS + 1):
            order = derive_seed(seed, "retrain", epoch)
            train_epoch(model, optimiser, dataset, loss, batch=128, seed=order)
            evaluate(model, dataset, loss)


def maps(device: str, repeats: int) -> list[dict[str, object]]:
    """Time PHATE on trees of 1,000 and 5,000 points, potentials equal.

    Of 5,000 points the package's scaling takes longer than all else here: potentials alone, once.
    """
    rows = []
    for branches, length, whole in ((10, 100, True), (25, 200, False)):
        tree = artificial_tree(branches, length)
        apart = distances(tree.points @ tree.points.T)
        error = float(np.abs(diffuse(apart).potential - _package(apart, whole=False)).max())
        row = {"size": len(apart), "rival": "phate", "error": error}
        works = {"PHATE, potential": (diffuse, False), "PHATE, map": (tg.phate, True)}
        for name, (own, wanted) in works.items():
            if wanted and not whole:
                continue
            pair = {
                "own": lambda call=own, a=apart: call(a),
                "package": lambda wanted=wanted, a=apart: _package(a, whole=wanted),
            }
            times = alternate(pair, "cpu", repeats if whole else 1)
            rows.append(_row({"work": name, **row}, times["own"], times["package"]))
    return rows


def _package(apart: np.ndarray, *, whole: bool) -> np.ndarray:
    """Call the package as its users do; return its potential, or with ``whole`` its map."""
    import phate

    operator = phate.PHATE(
        n_landmark=None,
        mds_solver="smacof",
        knn_dist="precomputed_distance",
        random_state=0,
        verbose=0,
    )
    operator.fit(apart)
    return np.asarray(operator.transform() if whole else operator.diff_potential)


def gram(device: str, repeats: int) -> list[dict[str, object]]:
    """Time the Gram matrix of 640 points of a million parameters, each way in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        draw = np.random.default_rng(0)
        for i in range(POINTS):
            write_offset(Path(folder), i, draw.standard_normal(PARAMETERS, dtype=np.float32))
        times: dict[str, list[float]] = {"own": [], "stacked": []}
        peaks: dict[str, list[float]] = {"own": [], "stacked": []}
        for _ in range(repeats):
            for name in times:
                command = [sys.executable, __file__, "--gram", name, folder]
                found = subprocess.run(command, check=True, capture_output=True, text=True)
                seconds, megabytes = map(float, found.stdout.split())
                times[name].append(seconds)
                peaks[name].append(megabytes)
    row = {"work": "Gram matrix", "size": f"{POINTS} x {PARAMETERS}", "rival": "stacked vectors"}
    memory = {
        "megabytes": statistics.median(peaks["own"]),
        "rival_megabytes": statistics.median(peaks["stacked"]),
    }
    return [_row({**row, **memory}, times["own"], times["stacked"])]


def one_gram(name: str, folder: str) -> None:
    """Print the seconds and the megabytes beyond those of the imports that one way takes."""
    import time

    from safetensors.numpy import load_file

    files = [offset_file(Path(folder), i) for i in range(POINTS)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if name == "own":
        gram_of(files)
    else:
        whole = np.stack([load_file(file)["offset"] for file in files])
        _ = whole @ whole.T
    spent = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(spent, (after - before) / 1024)


def _row(row: dict[str, object], own: list[float], rival: list[float]) -> dict[str, object]:
    found = {
        **row,
        "seconds": statistics.median(own),
        "rival_seconds": statistics.median(rival),
        "times_rival": ratio(rival, own),
        "rounds": len(own),
    }
    line(found)
    return found


PARTS = {"retraining": retraining, "stacked": stacked, "maps": maps, "gram": gram}


def main() -> None:
    """Measure in the environment of Topograph itself, which has the phate package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--gram", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.gram:
        one_gram(*options.gram)
        return
    os.chdir(ROOT)
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    run(options.device, options.parts, options.repeats)


if __name__ == "__main__":
    main()
