"""Seeds: one root, a named stream per purpose, global generators left as they were."""

from __future__ import annotations

import random
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


@contextmanager
def all_seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, numpy and Python inside the block; restore them after.

    For code of others, which may draw from any of them.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch_seed(seed):
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
