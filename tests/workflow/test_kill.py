"""kill -9 at random moments: the next run finishes, to the same bits, with nothing to clean up."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.workflow
# What the command line of each kind of process holds.
VICTIMS = {
    "snakemake": "bin/snakemake",
    "training": ".train.py",
    "sampling": ".sample_landscape.py",
    "retraining": ".jump_retrain.py",
    "figure": ".figure.py",
    "notebook": "ipykernel_launcher",
}
FIGURE = "reports/smoke/figures/tlp-fig3*"


def start(checkout) -> subprocess.Popen:
    with (checkout.path / "log.txt").open("a") as log:
        return subprocess.Popen(
            ["make", "smoke"], cwd=checkout.path, stdout=log, stderr=log, start_new_session=True
        )


def find(make: subprocess.Popen, kind: str) -> psutil.Process | None:
    try:
        for process in psutil.Process(make.pid).children(recursive=True):
            if any(VICTIMS[kind] in word for word in process.cmdline()):
                return process
    except psutil.NoSuchProcess:
        pass
    return None


def kill(make: subprocess.Popen, kind: str, delay: float) -> bool:
    """Kill a process of a kind some seconds after it appears; say whether one was killed."""
    while make.poll() is None:
        if found := find(make, kind):
            time.sleep(delay)
            try:
                found.kill()
            except psutil.NoSuchProcess:
                continue
            return True
        time.sleep(0.05)
    return False


def leftovers(checkout) -> list[str]:
    """Return half-written files, unfinished landscapes and locks."""
    half = [*checkout.path.glob("results/**/.*"), *checkout.path.glob("reports/**/.*")]
    parts = checkout.path.glob("results/**/*.parts")
    locks = (checkout.path / ".snakemake/locks").glob("*")
    return [str(path) for path in [*half, *parts, *locks]]


def survivors(folder: Path) -> list[str]:
    """Return the processes that still work in a folder."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if (process.info["cwd"] or "").startswith(str(folder)):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def check(checkout, smoke) -> None:
    """Assert that a run has finished as one that nothing interrupted."""
    log = (checkout.path / "log.txt").read_text()
    assert "LockException" not in log and "IncompleteFilesException" not in log
    assert checkout.results() == smoke.results()
    assert leftovers(checkout) == []
    why = checkout.make("why")
    assert "Nothing to be done" in why.stdout, why.stdout
    assert survivors(checkout.path) == []


def run_to_the_end(checkout) -> None:
    done = checkout.make("smoke")
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.fixture
def begun(untouched, tmp_path):
    """A copy of the finished study without what was made of one of its networks."""
    copy = untouched._replace(path=tmp_path / "begun")
    shutil.copytree(untouched.path, copy.path, symlinks=True)
    run = max(folder.name for folder in copy.path.glob("results/smoke/train/convection-*"))
    for folder in copy.path.glob(f"results/smoke/*/{run}"):
        shutil.rmtree(folder)
    for pattern in (f"reports/smoke/profiles/{run}*", FIGURE):
        for file in copy.path.glob(pattern):
            file.unlink()
    return copy


def test_snakemake_a_training_a_sampling_and_a_notebook_are_killed(begun, smoke):
    draw = random.Random(0)
    # While a job of the first kind works, one of the second is killed.
    for working, kind in (
        ("training", "training"),
        ("sampling", "snakemake"),
        ("sampling", "sampling"),
        ("notebook", "notebook"),
    ):
        make = start(begun)
        assert find_soon(make, working), working
        assert kill(make, kind, draw.uniform(0, 2)), kind
        # The jobs that nobody killed go on.
        assert make.wait(timeout=600) != 0
    run_to_the_end(begun)
    check(begun, smoke)


def find_soon(make: subprocess.Popen, kind: str) -> psutil.Process | None:
    while make.poll() is None:
        if found := find(make, kind):
            return found
        time.sleep(0.05)
    return None


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_twenty_kills_at_random_moments(checkout, smoke):
    draw = random.Random(1)
    kills: list[str] = []
    while len(kills) < 20:
        make = start(checkout)
        while make.poll() is None and len(kills) < 20:
            time.sleep(draw.uniform(0, 8))
            running = [kind for kind in VICTIMS if find(make, kind)]
            if running:
                kind = draw.choice(running)
                if kill(make, kind, delay=0):
                    kills.append(kind)
        if make.wait(timeout=900) == 0:
            check(checkout, smoke)
            for folder in ("results/smoke", "reports/smoke"):
                shutil.rmtree(checkout.path / folder)
    run_to_the_end(checkout)
    check(checkout, smoke)
    print(f"survived {len(kills)} kills: {', '.join(kills)}")
