"""Measure Topograph against its rivals: all parts, or those that are named."""

from __future__ import annotations

import argparse
import os
import warnings

import curvature
import growth
import limits
import points
import torch
import trees
from subjects import SUBJECTS
from timing import ROOT, THREADS

PARTS = {
    "points": points,
    "limits": limits,
    "curvature": curvature,
    "growth": growth,
    "trees": trees,
}


def main() -> None:
    """Run the parts and write their tables under reports/published/."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--only", nargs="*", choices=list(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {unknown.pop()!r}; allowed: {', '.join(PARTS)}")
    os.chdir(ROOT)
    warnings.simplefilter("ignore")
    torch.set_num_threads(THREADS)
    for name in options.parts or PARTS:
        print(f"-- {name}, {options.device}, {THREADS} threads", flush=True)
        PARTS[name].run(options.device, options.only, options.repeats)


if __name__ == "__main__":
    main()
