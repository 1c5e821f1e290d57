"""Work in progress of one landscape: its plan, and the tiles that are done, in files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from topograph.foundation.errors import DataError
from topograph.foundation.storage import atomic, read_json, read_weights, write_weights
from topograph.landscape.plan import Plan

PLAN = "plan.json"


class Chunks:
    """A folder with a plan and the values of finished tiles under that plan.

    Several processes may share it: the first plan written holds for all, and each chunk is a file
    of its own, written at once or not at all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def agree(self, plan: Plan) -> Plan:
        """Return the plan that is there already, or else write this one."""
        target = self.folder / PLAN
        if not target.is_file():
            with atomic(target, replace=False) as temporary:
                temporary.write_text(json.dumps(plan.to_dict(), sort_keys=True))
        return Plan.of(read_json(target))

    def planned(self) -> Plan | None:
        """Return the plan that is there, or None."""
        target = self.folder / PLAN
        return Plan.of(read_json(target)) if target.is_file() else None

    def replan(self, old: Plan, new: Plan) -> Plan:
        """Put a plan of smaller tiles in the place of another, unless a shard has done so before.

        Chunks of the old plan are left and no longer counted.
        """
        now = self.planned()
        if now is not None and now.tile < old.tile:
            return now
        with atomic(self.folder / PLAN) as temporary:
            temporary.write_text(json.dumps(new.to_dict(), sort_keys=True))
        return new

    def clear(self) -> None:
        """Remove the plan and all that was done under it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def save(self, plan: Plan, first: int, values: Mapping[str, np.ndarray]) -> None:
        """Write the values (points, …) of whole tiles, the first of them number ``first``."""
        count = -(-len(next(iter(values.values()))) // plan.tile)
        name = f"tiles-{first:08d}-{first + count:08d}.safetensors"
        write_weights(self.folder / name, values, {"plan": json.dumps(plan.to_dict())})

    def load(self, plan: Plan) -> dict[int, dict[str, np.ndarray]]:
        """Return the values of each finished chunk by the number of its first tile.

        Files that a crash of the machine truncated are removed, those of another plan left out.
        """
        found = {}
        for path in sorted(self.folder.glob("tiles-*.safetensors")):
            try:
                values, header = read_weights(path)
            except DataError:
                path.unlink(missing_ok=True)
                continue
            if json.loads(header["plan"]) != plan.to_dict():
                continue
            found[int(path.name.split("-")[1])] = values
        return found
