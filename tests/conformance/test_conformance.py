"""Every closed-form case holds for Topograph; `make conformance` runs them on rivals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cases import CASES
from ours import Topograph
from package import Package


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_closed_form_holds(case: Callable[[Package], str]) -> None:
    assert case(Topograph())
