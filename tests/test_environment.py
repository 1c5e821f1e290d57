"""One environment: the lock satisfies the ranges, conda and container install the lock."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "envs/lock.txt").read_text()
EXECUTORS = ("slurm", "kubernetes")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked(text: str = LOCK) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, flags=re.MULTILINE):
        found.setdefault(name.lower().replace("_", "-"), []).append(version)
    return found


def test_the_lock_satisfies_every_range():
    versions = locked()
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    for line in wanted:
        requirement = Requirement(line)
        for version in versions[requirement.name.lower()]:
            assert requirement.specifier.contains(Version(version)), f"{line}: run make lock"


@pytest.mark.parametrize("name", ["lock", *EXECUTORS])
def test_every_version_has_hashes_and_no_address(name):
    text = (ROOT / f"envs/{name}.txt").read_text()
    pins = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    assert all("--hash=sha256:" in pin for pin in pins if "==" in pin)
    assert "://" not in text
    assert not list(ROOT.glob("uv.lock"))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_packages_of_an_executor_lie_beside_the_lock_and_agree_with_it(executor):
    beside = locked((ROOT / f"envs/{executor}.txt").read_text())
    for line in PROJECT["project"]["optional-dependencies"][executor]:
        requirement = Requirement(line)
        (version,) = beside[requirement.name]
        assert requirement.specifier.contains(Version(version)), f"{line}: run make lock"
    # In the lock for PyPy alone; where both have a package, it is the same.
    shared = {name: versions for name, versions in beside.items() if name in locked()}
    assert shared.keys() <= {"cffi", "pycparser"}
    assert all(locked()[name] == versions for name, versions in shared.items())


def test_torch_and_torchvision_are_from_one_index():
    versions = locked()
    assert "+" not in "".join(versions["torch"] + versions["torchvision"])
    command = [sys.executable, "-c", "import torchvision; torchvision.ops.nms"]
    subprocess.run(command, check=True)


def test_conda_and_container_install_the_lock():
    conda = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    (pip,) = [entry for entry in conda["dependencies"] if isinstance(entry, dict)]
    assert pip == {"pip": ["--requirement lock.txt"]}
    container = (ROOT / "envs/Containerfile").read_text()
    assert "--require-hashes envs/lock.txt" in container
    python = re.search(r"python:(3\.\d+)-slim", container)
    assert python is not None
    assert f"python={python[1]}" in conda["dependencies"]
    assert Version(python[1]) >= Version(PROJECT["project"]["requires-python"].lstrip(">="))


def test_the_container_copies_what_is_there_runs_as_nobody_special_and_serves_pods():
    text = (ROOT / "envs/Containerfile").read_text().replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line[:1].isalpha()]
    copied = [word for step, rest in steps if step == "COPY" for word in rest.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied) and "." in copied
    assert steps[-1][0] == "USER" and int(steps[-1][1]) > 0
    (installed,) = [rest for step, rest in steps if "envs/kubernetes.txt" in rest and step == "RUN"]
    assert "--no-deps --require-hashes --requirements envs/kubernetes.txt" in installed
    (environment,) = [rest for step, rest in steps if step == "ENV"]
    assert "PYTHONPATH=/workdir/workflow:/topograph/.venv-kubernetes" in environment
    # What was installed outside would hide what the image installs.
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    assert {".venv", ".venv-*", "results/*"} <= set(ignored)


def test_ignored_folders_are_those_at_the_root():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/data/*", "/results/*", "/reports/*"} <= set(ignored)
    tracked = ("workflow/topograph/data/digits.py", "workflow/topograph/report/site.py")
    done = subprocess.run(["git", "check-ignore", *tracked], cwd=ROOT, check=False)
    assert done.returncode == 1


def test_no_source_names_a_path_of_one_machine():
    done = subprocess.run(
        ["git", "grep", "-nE", r"(^|[^A-Za-z0-9_.])/(root|work|home)/", "--", ":!tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
