"""Seeds: one root, a named stream per purpose, torch's global generator left as it was."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def derive_seed(root: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for one purpose, independent of every other purpose of the same root.

    Strings enter by their CRC, so the stream of a purpose does not move when another is added.
    """
    keys = tuple(zlib.crc32(p.encode()) if isinstance(p, str) else int(p) for p in purpose)
    state = np.random.SeedSequence(entropy=int(root), spawn_key=keys).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


@contextmanager
def torch_seed(seed: int) -> Iterator[None]:
    """Seed torch's global generators inside the block and restore them after it."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
