"""Work in progress is never lost: killed, sharded and resumed landscapes have the same bits."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

from topograph.foundation.errors import TopographError
from topograph.geometry.directions import Directions, random_directions
from topograph.landscape import evaluation
from topograph.landscape.chunks import Chunks
from topograph.landscape.evaluation import Filled
from topograph.landscape.sampling import sample
from topograph.objective import engines
from topograph.objective.objective import Objective

SCRIPT = """
import sys
import time

sys.path.insert(0, sys.argv[1])
from test_resume import build
import torch
from topograph.landscape import evaluation
from topograph.landscape.chunks import Chunks
from topograph.landscape.sampling import sample
from topograph.objective import engines

torch.set_num_threads(int(sys.argv[5]))
engines.MOST_POINTS["cpu"] = 4
evaluation.SECONDS_BETWEEN_CHUNKS = 0.0
whole = evaluation.Filled.evaluate
def slowly(self, coefficients):
    time.sleep(0.02)
    return whole(self, coefficients)
evaluation.Filled.evaluate = slowly
print("ready", flush=True)
objective, directions = build()
shard = tuple(map(int, sys.argv[3].split("/")))
sample(objective, directions, points=17, path=sys.argv[2], engine=sys.argv[4], shard=shard)
"""


def build(seed: int = 0) -> tuple[Objective, Directions]:
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 3)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=generator)
    data = (torch.randn((30, 20), generator=generator), torch.arange(30) % 3)
    objective = Objective.from_model(network, F.cross_entropy, data)
    return objective, random_directions(objective, 2)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.MOST_POINTS, "cpu", 4)


def whole(**options: object) -> xr.Dataset:
    return sample(*build(), points=17, **options)


def start(path: Path, shard: str = "0/1", engine: str = "stacked") -> subprocess.Popen:
    threads = str(torch.get_num_threads())
    folder = str(Path(__file__).parent)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, folder, str(path), shard, engine, threads],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("engine", ["stacked", "in-place"])
def test_a_landscape_killed_at_random_moments_ends_with_the_same_bits(
    tmp_path: Path, engine: str
) -> None:
    path, draw = tmp_path / "landscape.nc", random.Random(engine)
    kills = 0
    for _ in range(40):
        process = start(path, engine=engine)
        assert process.stdout is not None
        process.stdout.readline()
        if kills < 4:
            time.sleep(draw.uniform(0.0, 0.35))
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
        _, told = process.communicate()
        if path.is_file():
            break
        assert process.returncode == -signal.SIGKILL, told
    assert kills >= 3
    finished = xr.open_dataset(path, engine="h5netcdf").load()
    xr.testing.assert_identical(finished, whole(engine=engine))
    assert list(tmp_path.iterdir()) == [path]


def test_shards_run_at_once_meet_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "landscape.nc"
    running = [start(path, f"{i}/3") for i in range(3)]
    for process in running:
        assert process.wait(timeout=120) == 0, process.stderr.read()
    finished = xr.open_dataset(path, engine="h5netcdf").load()
    xr.testing.assert_identical(finished, whole(engine="stacked"))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_shards_in_any_order_make_the_whole(tmp_path: Path, order: tuple[int, ...]) -> None:
    path, expected = tmp_path / "landscape.nc", whole()
    for done, shard in enumerate(order):
        part = whole(path=path, shard=(shard, 4))
        missing = int(part["loss"].isnull().sum())
        assert missing == 289 - part.attrs["evaluated"]
        assert path.is_file() == (done == 3)
        known = part["loss"].notnull()
        np.testing.assert_array_equal(part["loss"].where(known), expected["loss"].where(known))
    xr.testing.assert_identical(part, expected)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_the_size_of_a_chunk_changes_no_bit(
    tmp_path: Path, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole()
    monkeypatch.setattr(evaluation, "SECONDS_BETWEEN_CHUNKS", seconds)
    xr.testing.assert_identical(whole(path=tmp_path / "landscape.nc"), expected)


def test_a_finished_landscape_is_read_and_not_evaluated_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(path=tmp_path / "landscape.nc")

    def never(self: Filled, coefficients: np.ndarray) -> None:
        raise AssertionError("a point was evaluated")

    monkeypatch.setattr(Filled, "evaluate", never)
    xr.testing.assert_identical(whole(path=tmp_path / "landscape.nc"), expected)


class Stopped(Exception):
    """What ends a run in the middle."""


def interrupted(path: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a landscape and end after some tiles, each already on disk."""
    evaluate, left = Filled.evaluate, [after]

    def counting(self: Filled, coefficients: np.ndarray) -> dict[str, torch.Tensor]:
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        return evaluate(self, coefficients)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "SECONDS_BETWEEN_CHUNKS", 0.0)
        patch.setattr(Filled, "evaluate", counting)
        with pytest.raises(Stopped):
            whole(path=path)


def test_finished_tiles_are_not_evaluated_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "landscape.nc"
    interrupted(path, 20, monkeypatch)
    seen: list[np.ndarray] = []
    evaluate = Filled.evaluate

    def noting(self: Filled, coefficients: np.ndarray) -> dict[str, torch.Tensor]:
        seen.append(coefficients)
        return evaluate(self, coefficients)

    monkeypatch.setattr(Filled, "evaluate", noting)
    whole(path=path)
    # The grid's last tile holds one point; the centre and the sample for precision come after it.
    left = seen[: [len(c) for c in seen].index(1) + 1]
    np.testing.assert_array_equal(np.concatenate(left), whole_alphas()[20 * 4 :])


def whole_alphas() -> np.ndarray:
    axis = np.arange(-16, 17, 2) / 16
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("damage", ["truncated", "foreign"])
def test_a_chunk_that_cannot_be_trusted_is_made_again(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "landscape.nc"
    interrupted(path, 20, monkeypatch)
    chunk = sorted((tmp_path / "landscape.nc.parts").glob("tiles-*"))[3]
    if damage == "truncated":
        chunk.write_bytes(chunk.read_bytes()[:40])
    else:
        content = chunk.read_bytes().replace(b'\\"tile\\": 4', b'\\"tile\\": 8')
        content = content.replace(b'\\\\\\"tile\\\\\\": 4', b'\\\\\\"tile\\\\\\": 8')
        assert content != chunk.read_bytes()
        chunk.write_bytes(content)
    xr.testing.assert_identical(whole(path=path), whole())


def test_the_plan_on_disk_decides_over_a_new_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "landscape.nc"
    interrupted(path, 5, monkeypatch)
    plan = json.loads((tmp_path / "landscape.nc.parts" / "plan.json").read_text())
    assert (plan["engine"], plan["tile"], plan["dtype"]) == ("stacked", 4, "float32")
    monkeypatch.setitem(engines.MOST_POINTS, "cpu", 16)
    assert whole(path=path).attrs["tile"] == 4


def test_memory_that_runs_out_makes_the_tile_smaller_and_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = Filled.evaluate

    def greedy(self: Filled, coefficients: np.ndarray) -> dict[str, torch.Tensor]:
        if self.plan.tile > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return evaluate(self, coefficients)

    monkeypatch.setattr(Filled, "evaluate", greedy)
    found = whole(path=tmp_path / "landscape.nc")
    assert found.attrs["tile"] == 2
    monkeypatch.setattr(Filled, "evaluate", evaluate)
    monkeypatch.setitem(engines.MOST_POINTS, "cpu", 2)
    xr.testing.assert_identical(found, whole())


def test_a_point_that_does_not_fit_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(self: Filled, coefficients: np.ndarray) -> dict[str, torch.Tensor]:
        raise MemoryError

    monkeypatch.setattr(Filled, "evaluate", greedy)
    with pytest.raises(TopographError, match="one parameter point does not fit into the memory"):
        whole()


def test_other_errors_of_a_run_are_not_taken_for_a_lack_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(self: Filled, coefficients: np.ndarray) -> dict[str, torch.Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Filled, "evaluate", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        whole()


def test_a_file_of_another_model_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "landscape.nc"
    whole(path=path)
    before = path.read_bytes()
    other = build(seed=1)
    with pytest.raises(TopographError, match="holds another landscape .digest .* of another model"):
        sample(*other, points=17, path=path)
    with pytest.raises(TopographError, match="holds another landscape"):
        whole(path=path, distance=2.0)
    assert path.read_bytes() == before


def test_work_in_progress_of_another_model_is_refused_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "landscape.nc"
    interrupted(path, 5, monkeypatch)
    with pytest.raises(TopographError, match="holds a landscape in progress"):
        sample(*build(seed=1), points=17, path=path)
    with pytest.raises(TopographError, match="was begun with engine 'stacked' on 'cpu'"):
        whole(path=path, engine="in-place")
    xr.testing.assert_identical(whole(path=path), whole())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": (2, 2), "path": "x.nc"}, r"shard is \(2, 2\); allowed: \(i, k\)"),
        ({"shard": (0, 2)}, "shards meet in files: give a path"),
    ],
)
def test_impossible_shards_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(TopographError, match=message):
        whole(**options)


def test_two_runs_of_the_same_work_do_not_count_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "landscape.nc"
    interrupted(path, 20, monkeypatch)
    twin = Chunks(tmp_path / "landscape.nc.parts")
    plan = twin.planned()
    assert plan is not None
    done = twin.load(plan)
    both = {"loss": np.concatenate([done[4]["loss"], done[5]["loss"]])}
    twin.save(plan, 4, both)
    (twin.folder / f"tiles-{4:08d}-{5:08d}.safetensors").unlink()
    assert set(twin.load(plan)) >= {4, 5}
    xr.testing.assert_identical(whole(path=path), whole())
    assert list(tmp_path.iterdir()) == [path]


def test_a_shard_without_points_of_its_own_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "landscape.nc"
    empty = sample(*build(), points=(2, 2), path=path, shard=(0, 5))
    assert empty.attrs["evaluated"] == 0
    assert empty["loss"].isnull().all()
    for shard in range(1, 5):
        last = sample(*build(), points=(2, 2), path=path, shard=(shard, 5))
    xr.testing.assert_identical(last, sample(*build(), points=(2, 2)))


def test_a_metric_added_later_is_another_landscape(tmp_path: Path) -> None:
    path = tmp_path / "landscape.nc"
    network = nn.Linear(3, 2).eval()
    data = (torch.randn(5, 3), torch.arange(5) % 2)
    plain, more = (
        Objective.from_model(network, F.cross_entropy, data, metrics=metrics)
        for metrics in (None, {"size": lambda outputs, _: outputs.square().mean()})
    )
    directions = random_directions(plain, 1)
    sample(plain, directions, points=3, path=path)
    with pytest.raises(TopographError, match="holds another landscape"):
        sample(more, directions, points=3, path=path)


def test_shards_follow_the_one_that_ran_out_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "landscape.nc"
    whole(path=path, shard=(0, 2))
    chunks = Chunks(tmp_path / "landscape.nc.parts")
    plan = chunks.planned()
    assert plan is not None
    smaller = chunks.replan(plan, plan.with_half_the_tile())
    assert chunks.replan(plan, plan.with_half_the_tile()) == smaller
    assert chunks.load(smaller) == {}
    found = whole(path=path)
    assert found.attrs["tile"] == 2
    monkeypatch.setitem(engines.MOST_POINTS, "cpu", 2)
    xr.testing.assert_identical(found, whole())
