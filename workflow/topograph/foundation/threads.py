"""How many threads numerics may use."""

from __future__ import annotations

import sys


def limit_threads(count: int) -> None:
    """Give every numerical library that is loaded ``count`` threads, torch among them.

    A landscape's last bits depend on the number: a workflow's jobs have one each.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
