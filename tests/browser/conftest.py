"""One headless Chromium for all browser tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium; tests are skipped where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip(
            "no chromium on this machine: browser tests not run; install Debian's package chromium"
        )
    from playwright.sync_api import sync_playwright

    # Chromium refuses its sandbox to root, and containers give it a tiny /dev/shm.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield started
        started.close()
