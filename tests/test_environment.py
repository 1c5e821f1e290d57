"""One environment: the lock satisfies the ranges, conda and container install the lock."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "envs/lock.txt").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", LOCK, flags=re.MULTILINE):
        found.setdefault(name.lower().replace("_", "-"), []).append(version)
    return found


def test_the_lock_satisfies_every_range():
    versions = locked()
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    for line in wanted:
        requirement = Requirement(line)
        for version in versions[requirement.name.lower()]:
            assert requirement.specifier.contains(Version(version)), f"{line}: run make lock"


def test_every_version_has_hashes_and_no_address():
    pins = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)
    assert all("--hash=sha256:" in pin for pin in pins if "==" in pin)
    assert "://" not in LOCK
    assert not list(ROOT.glob("uv.lock"))


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
