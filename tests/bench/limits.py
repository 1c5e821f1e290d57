"""What this machine can do at best: products, convolutions, activations; and what is left."""

from __future__ import annotations

import torch
from subjects import SUBJECTS, Subject
from timing import alternate, begin, line, publish, ratio
from torch.nn import functional as F

import topograph as tg


def peak(subject: Subject, device: str) -> tuple[object, float]:
    """Return a large product, or convolution for a convolutional network, and its FLOP."""
    if subject.inputs.ndim == 4:
        channels, side, batch = 64, 32, 64 if device == "cpu" else 512
        x = torch.randn(batch, channels, side, side, device=device)
        x = x.contiguous(memory_format=torch.channels_last)
        kernel = torch.randn(channels, channels, 3, 3, device=device)
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        work = torch.no_grad()(lambda: F.conv2d(x, kernel, padding=1))
        return work, 2.0 * batch * side * side * channels * channels * 9
    size = 2048 if device == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    return torch.no_grad()(lambda: a @ b), 2.0 * size**3


def activation(subject: Subject, device: str) -> tuple[object, int]:
    """Return the activation alone on the elements of several points, and how many points."""
    kind, count = subject.activations()
    points = max(1, 4_000_000 // count)
    x = torch.randn(points * count, device=device)
    function = torch.tanh_ if kind.__name__ == "Tanh" else torch.relu_
    return torch.no_grad()(lambda: function(x)), points


def measure(subject: Subject, device: str, repeats: int) -> dict[str, object]:
    """Return the shares of a point's time: products at the peak rate, activation, the rest."""
    directions = tg.random_directions(subject.objective, subject.dimensions)
    best, flop = peak(subject, device)
    alone, points = activation(subject, device)

    def sample(count: int) -> None:
        tg.sample(subject.objective, directions, points=count, distance=0.1, device=device)

    works = {
        "large": lambda: sample(subject.own),
        "small": lambda: sample(subject.small),
        "peak": best,
        "activation": alone,
    }
    times = alternate(works, device, repeats)
    more = subject.own**subject.dimensions - subject.small**subject.dimensions
    each = [(a - b) / more for a, b in zip(times["large"], times["small"], strict=True)]
    products = [t / flop * subject.flops() for t in times["peak"]]
    elements = [t / points for t in times["activation"]]
    of_products, of_activation = ratio(products, each), ratio(elements, each)
    return {
        "objective": subject.name,
        "milliseconds_per_point": 1e3 * sorted(each)[len(each) // 2],
        "peak_gflops": flop / sorted(times["peak"])[repeats // 2] / 1e9,
        "share_products_at_peak": of_products,
        "share_activation_alone": of_activation,
        "share_rest": 1 - of_products - of_activation,
        "the_rest_is": REST[subject.name],
    }


REST = {
    "pinn": "products of 50 columns below peak, tangents, points formed and written",
    "mlp": "first layer added up from its products with the data, soft-max, points formed",
    "unet": "convolutions of 8 to 64 channels below peak, batch norm, pooling, concatenation",
    "resnet20": "convolutions of 16 to 64 channels below peak, batch norm, sums",
}


def run(device: str, names: list[str], repeats: int) -> None:
    """Print and write one line an objective."""
    start = begin(__file__)
    rows = []
    for name in names:
        rows.append(measure(SUBJECTS[name](), device, min(repeats, 3)))
        line(rows[-1])
    publish("limits", rows, device, start)
