"""A conditional random field on the logits of a segmentation network, trained with it.

Zheng et al. 2015, "Conditional Random Fields as Recurrent Neural Networks": the mean field of
Krähenbühl and Koltun 2011, unrolled, with kernels cut off at a local window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

Message = Callable[[Tensor], Tensor]
# torch.fx, which fuses the convolutions before this head, cannot see through its checks.
fx.wrap("mean_field")


class CrfRnn(nn.Module):
    """Refine logits by ``steps`` mean-field updates with a bilateral and a spatial kernel.

    With f = positions p and intensities I of the image, for j in the square of side 2 radius + 1
    around i, inside the image and other than i:
    k1(i, j) = exp(-|p_i - p_j|^2 / 2 theta_alpha^2 - |I_i - I_j|^2 / 2 theta_beta^2) and
    k2(i, j) = exp(-|p_i - p_j|^2 / 2 theta_gamma^2), lengths in pixels, each divided by its sum
    over j, so that a message is a mean over neighbours, or 0 where there are none. No gradient
    flows through the kernels into the image.

    Trained are ``w`` (2, classes), how much each class heeds k1 and k2, and ``mu``
    (classes, classes), at first Potts: 1 off the diagonal. Raises ValueError for bad arguments.
    """

    def __init__(
        self,
        classes: int,
        steps: int = 5,
        radius: int = 4,
        *,
        theta_alpha: float = 3.0,
        theta_beta: float = 0.5,
        theta_gamma: float = 1.0,
    ) -> None:
        super().__init__()
        if not isinstance(steps, int) or steps < 0:
            raise ValueError(f"CRF steps is {steps}; allowed: whole numbers from 0, which is none")
        if not isinstance(radius, int) or radius < 1:
            raise ValueError(f"CRF radius is {radius}; allowed: whole numbers from 1, in pixels")
        self.steps, self.radius = steps, radius
        self.thetas = (theta_alpha, theta_beta, theta_gamma)
        if min(self.thetas) <= 0:
            raise ValueError(
                f"theta_alpha, theta_beta, theta_gamma are {self.thetas}; allowed: above 0"
            )
        # Above 2.8 in all, Potts on three classes orders by itself: an untrained network would
        # start with one class everywhere and hardly a gradient.
        self.w = nn.Parameter(torch.ones(2, classes))
        self.mu = nn.Parameter(1 - torch.eye(classes))

    def forward(self, logits: Tensor, image: Tensor) -> Tensor:
        """Map logits (B, classes, H, W) and images (B, channels, H, W) to logits."""
        return mean_field(logits, image, self.w, self.mu, self.steps, self.radius, self.thetas)


def mean_field(
    logits: Tensor,
    image: Tensor,
    w: Tensor,
    mu: Tensor,
    steps: int,
    radius: int,
    thetas: tuple[float, float, float],
) -> Tensor:
    """Return the logits (B, classes, H, W) after ``steps`` updates; their soft-max is Q.

    Raises ValueError where image and logits differ in number or size.
    """
    _require_same_size(logits, image)
    batch, classes, height, width = logits.shape
    # Under autocast logits come in half precision.
    dtype = torch.promote_types(logits.dtype, image.dtype)
    unary = logits.to(dtype).transpose(0, 1).reshape(classes, -1)
    kernels = _kernels(image.detach().to(dtype), radius, thetas)
    found = unary
    for _ in range(steps):
        q = F.softmax(found, dim=0)
        bilateral, spatial = (kernel(q) for kernel in kernels)
        found = unary - mu @ (w[0, :, None] * bilateral + w[1, :, None] * spatial)
    return found.reshape(classes, batch, height, width).transpose(0, 1)


def _require_same_size(logits: Tensor, image: Tensor) -> None:
    batch, _, *size = logits.shape
    if image.ndim != 4 or (len(image), *image.shape[2:]) != (batch, *size):
        raise ValueError(
            f"the CRF received logits {tuple(logits.shape)} and images {tuple(image.shape)}; "
            f"allowed: images ({', '.join(map(str, (batch, 'channels', *size)))})"
        )


def _kernels(image: Tensor, radius: int, thetas: tuple[float, float, float]) -> list[Message]:
    """Return for k1 and k2 what maps q (M, B H W) to its means over neighbours."""
    alpha, beta, gamma = thetas
    kernels = (_bilateral(image, radius, alpha, beta), _spatial(image, radius, gamma))
    one = torch.ones_like(image[:, 0]).reshape(1, -1)
    return [_normalised(kernel, kernel(one)) for kernel in kernels]


def _normalised(kernel: Message, total: Tensor) -> Message:
    # A pixel without neighbours receives 0 and not 0 / 0.
    total = total.clamp_min(torch.finfo(total.dtype).tiny)
    return lambda q: kernel(q) / total


def _bilateral(image: Tensor, radius: int, alpha: float, beta: float) -> Message:
    """Return q (M, B H W) -> k1 q, over pairs of pixels, each at its flat distance.

    Each pair is kept once, at its first pixel; across the edge of the image its kernel is 0.
    """
    batch, _, height, width = image.shape
    down, aside = min(radius, height - 1), min(radius, width - 1)
    shifts = [(y, x) for y in range(down + 1) for x in range(-aside, aside + 1) if (y, x) > (0, 0)]
    rows = [image.new_zeros(0, batch, height, width)]
    for y, x in shifts:
        left, right = max(0, -x), max(0, x)
        one = image[:, :, : height - y, left : width - right]
        other = image[:, :, y:, right : width - left]
        squares = (one - other).square().sum(dim=1)
        near = torch.exp(-(x * x + y * y) / (2 * alpha**2) - squares / (2 * beta**2))
        rows.append(F.pad(near, (left, right, 0, y))[None])
    pairs, distances = torch.cat(rows).flatten(1), tuple(y * width + x for y, x in shifts)
    return lambda q: _Pairs.apply(pairs, q, distances)


class _Pairs(torch.autograd.Function):
    """Sums over pairs of pixels, q (M, N) -> (M, N): linear, symmetric, its own derivative.

    Contiguous and in place, it takes a third of the time of shifted slices and their gradients, a
    tenth of that of ``unfold``, and keeps nothing for the backward pass but the kernels.
    """

    @staticmethod
    def forward(pairs: Tensor, q: Tensor, distances: tuple[int, ...]) -> Tensor:
        found = torch.zeros_like(q)
        for kernel, distance in zip(pairs, distances, strict=True):
            kernel = kernel[:-distance]
            found[:, :-distance].addcmul_(kernel, q[:, distance:])
            found[:, distance:].addcmul_(kernel, q[:, :-distance])
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pairs, _, ctx.distances = inputs
        ctx.save_for_backward(pairs)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, _Pairs.apply(*ctx.saved_tensors, gradients[0], ctx.distances), None

    @staticmethod
    def vmap(
        info: Any,
        axes: tuple[int | None, int | None, None],
        pairs: Tensor,
        q: Tensor,
        distances: tuple[int, ...],
    ) -> tuple[Tensor, int]:
        def at(index: int) -> Tensor:
            one = pairs if axes[0] is None else pairs.select(axes[0], index)
            return _Pairs.apply(one, q if axes[1] is None else q.select(axes[1], index), distances)

        return torch.stack([at(index) for index in range(info.batch_size)]), 0


def _spatial(image: Tensor, radius: int, gamma: float) -> Message:
    """Return q (M, B H W) -> k2 q, by products with the banded matrices of rows and columns."""
    rows, columns = (_band(image, side, radius, gamma) for side in image.shape[2:])
    with_itself = columns + torch.eye(len(columns), dtype=image.dtype, device=image.device)

    def message(q: Tensor) -> Tensor:
        images = q.reshape(-1, len(rows), len(columns))
        # Whole windows less the pixel itself would cancel where gamma is small.
        return (rows @ images @ with_itself + images @ columns).reshape(q.shape)

    return message


def _band(image: Tensor, side: int, radius: int, gamma: float) -> Tensor:
    """Return the Gaussian of distances up to ``radius`` along one axis, (side, side), without 0."""
    places = torch.arange(side, dtype=image.dtype, device=image.device)
    apart = places[:, None] - places
    inside = (apart != 0) & (apart.abs() <= radius)
    return torch.exp(-apart.square() / (2 * gamma**2)) * inside
