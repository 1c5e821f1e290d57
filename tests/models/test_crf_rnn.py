"""The CRF-RNN is the mean field of its paper, and trains, maps and samples like any network."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

import topograph as tg
from topograph.config.models import Target
from topograph.families.build import build_model
from topograph.foundation.errors import TopographError
from topograph.models.crf_rnn import CrfRnn
from topograph.models.unet import DoubleConv, UNet
from topograph.objective.fusion import _Fused, fused

DOUBLE = torch.float64


def head(classes: int = 3, steps: int = 5, radius: int = 2, dtype: torch.dtype = DOUBLE) -> CrfRnn:
    """Return a head whose weights are not symmetric in any way."""
    torch.manual_seed(2)
    crf = CrfRnn(classes, steps, radius, theta_alpha=2.5, theta_beta=0.8, theta_gamma=1.5)
    nn.init.uniform_(crf.w, 0.5, 2.5)
    with torch.no_grad():
        crf.mu.add_(0.3 * torch.randn_like(crf.mu))
    return crf.to(dtype)


def example(
    size: tuple[int, int] = (12, 12), channels: int = 1, classes: int = 3
) -> tuple[Tensor, Tensor]:
    """Return logits and images of a batch of two."""
    torch.manual_seed(3)
    logits = torch.randn(2, classes, *size, dtype=DOUBLE)
    return logits, torch.randn(2, channels, *size, dtype=DOUBLE)


def dense(crf: CrfRnn, logits: Tensor, image: Tensor) -> Tensor:
    """Return the mean field of one image, (classes, H, W), by N x N kernels, step by step."""
    alpha, beta, gamma = crf.thetas
    height, width = image.shape[1:]
    colours, size = image.flatten(1).T.tolist(), height * width
    k1, k2 = torch.zeros(2, size, size, dtype=DOUBLE)
    for i, j in itertools.permutations(range(size), 2):
        y, x = i // width - j // width, i % width - j % width
        if max(abs(y), abs(x)) <= crf.radius:
            squares = math.dist(colours[i], colours[j]) ** 2
            k1[i, j] = math.exp(-(x * x + y * y) / (2 * alpha**2) - squares / (2 * beta**2))
            k2[i, j] = math.exp(-(x * x + y * y) / (2 * gamma**2))
    unary = logits.flatten(1)
    q = unary.softmax(0)
    for _ in range(crf.steps):
        filtered = [q @ (k / k.sum(1, keepdim=True)).T for k in (k1, k2)]
        weighted = crf.w[0, :, None] * filtered[0] + crf.w[1, :, None] * filtered[1]
        refined = unary - crf.mu @ weighted
        q = refined.softmax(0)
    return refined.view_as(logits)


@pytest.mark.parametrize(
    ("radius", "size", "channels"),
    [(2, (12, 12), 1), (11, (12, 12), 1), (20, (12, 12), 1), (3, (9, 4), 3), (5, (3, 8), 1)],
    ids=["window", "whole image", "beyond the image", "colours", "low"],
)
def test_it_is_the_dense_mean_field_within_the_window(
    radius: int, size: tuple[int, int], channels: int
) -> None:
    crf, (logits, images) = head(radius=radius), example(size, channels)
    with torch.no_grad():
        wanted = torch.stack([dense(crf, *pair) for pair in zip(logits, images, strict=True)])
        for dtype, tolerance in ((DOUBLE, 1e-12), (torch.float32, 1e-5)):
            found = crf.to(dtype)(logits.to(dtype), images.to(dtype)).double()
            torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance)
            torch.testing.assert_close(found.softmax(1), wanted.softmax(1), rtol=0, atol=tolerance)


def test_gradients_of_both_orders_are_those_of_finite_differences() -> None:
    crf, (logits, images) = head(steps=2, radius=1), example((2, 3))

    def refined(logits: Tensor, w: Tensor, mu: Tensor) -> Tensor:
        return functional_call(crf, {"w": w, "mu": mu}, (logits, images[:1])).softmax(1)

    inputs = (logits[:1].requires_grad_(), *crf.parameters())
    assert torch.autograd.gradcheck(refined, inputs)
    assert torch.autograd.gradgradcheck(refined, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_hessian_vector_products_are_those_of_the_dense_mean_field(dtype: torch.dtype) -> None:
    crf, (logits, images) = head(radius=2), example((5, 6))
    logits, image, target = logits[0], images[0], torch.randint(3, (1, 5, 6))
    exact = [logits.requires_grad_(), *crf.parameters()]
    wanted = curvature(dense(crf, logits, image)[None], target, exact)
    other, rounded = copy.deepcopy(crf).to(dtype), logits.detach().to(dtype).requires_grad_()
    refined = other(rounded[None], image[None].to(dtype))
    found = curvature(refined, target, [rounded, *other.parameters()])
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    for value, expected in zip(found, wanted, strict=True):
        scale = expected.abs().max().item()
        torch.testing.assert_close(value.double(), expected, rtol=0, atol=tolerance * scale)


def curvature(logits: Tensor, target: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the product of the Hessian of the cross-entropy with a fixed vector."""
    gradient = torch.autograd.grad(F.cross_entropy(logits, target), inputs, create_graph=True)
    vector = [torch.linspace(-1, 2, x.numel(), dtype=x.dtype).view_as(x) for x in inputs]
    return torch.autograd.grad(gradient, inputs, vector)


def network(dtype: torch.dtype = torch.float32) -> tuple[UNet, tuple[Tensor, Tensor]]:
    """Return a tiny UNet with the head, in evaluation mode, and data."""
    torch.manual_seed(4)
    model = UNet(1, 3, width=2, depth=2, crf_steps=3, crf_radius=2).eval()
    return model.to(dtype), (torch.randn(2, 1, 8, 12, dtype=dtype), torch.randint(3, (2, 8, 12)))


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_many_parameter_points_in_one_pass_are_each_of_them(dtype: torch.dtype) -> None:
    model, (images, targets) = network(dtype)
    torch.manual_seed(5)
    points = {
        name: value + 0.1 * torch.randn(3, *value.shape, dtype=dtype)
        for name, value in model.named_parameters()
    }

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(model, parameters, (images,)), targets)

    found, slopes = vmap(loss)(points), vmap(torch.func.grad(loss))(points)
    for index in range(3):
        one = {name: value[index].detach().requires_grad_() for name, value in points.items()}
        torch.testing.assert_close(found[index], loss(one))
        wanted = torch.autograd.grad(loss(one), list(one.values()))
        for name, value in zip(one, wanted, strict=True):
            torch.testing.assert_close(slopes[name][index], value, rtol=1e-3, atol=1e-6)


def test_images_are_refined_each_by_itself_also_under_vmap() -> None:
    crf, (logits, images) = head(), example(channels=2)
    together = crf(logits, images)
    torch.testing.assert_close(together[1:], crf(logits[1:], images[1:]))
    mapped = vmap(lambda u, image: crf(u[None], image[None])[0])
    torch.testing.assert_close(mapped(logits, images), together)
    fixed = vmap(lambda image: crf(logits[:1], image[None])[0])(images)
    torch.testing.assert_close(fixed[1:], crf(logits[:1], images[1:]))


def test_channels_last_changes_nothing() -> None:
    crf, pair = head(), example(channels=3)
    last = [value.to(memory_format=torch.channels_last) for value in pair]
    assert torch.equal(crf(*last), crf(*pair))


def test_classes_are_permuted_with_their_weights() -> None:
    crf, (logits, images), order = head(), example(), torch.tensor([2, 0, 1])
    other = copy.deepcopy(crf)
    other.w.data, other.mu.data = crf.w.data[:, order], crf.mu.data[order][:, order]
    torch.testing.assert_close(other(logits[:, order], images), crf(logits, images)[:, order])


@pytest.mark.parametrize("axes", [(2,), (3,), (2, 3)])
def test_a_flipped_image_is_refined_to_flipped_logits(axes: tuple[int, ...]) -> None:
    crf, (logits, images) = head(), example((6, 9))
    flipped = crf(logits.flip(axes), images.flip(axes))
    torch.testing.assert_close(flipped, crf(logits, images).flip(axes))


def test_another_zero_of_the_logits_or_of_the_intensities_changes_no_probability() -> None:
    crf, (logits, images) = head(), example()
    wanted = crf(logits, images).softmax(1)
    torch.testing.assert_close(wanted.sum(1), torch.ones(2, 12, 12, dtype=DOUBLE))
    torch.testing.assert_close(crf(logits + 7, images - 5).softmax(1), wanted)


def test_without_kernel_weights_or_without_steps_the_logits_stay() -> None:
    crf, (logits, images) = head(), example()
    nn.init.zeros_(crf.w)
    assert torch.equal(crf(logits, images), logits)
    assert torch.equal(head(steps=0)(logits, images), logits)


def test_it_starts_as_potts_and_smooths_a_lone_pixel_away() -> None:
    crf = CrfRnn(3)
    assert torch.equal(crf.mu, 1 - torch.eye(3)) and torch.equal(crf.w, torch.ones(2, 3))
    assert set(crf.state_dict()) == {"w", "mu"}
    logits = torch.zeros(1, 3, 9, 9)
    logits[:, 0] = 1
    logits[0, :, 4, 4] = torch.tensor([0.0, 1.0, 0.0])
    assert (crf(logits, torch.zeros(1, 1, 9, 9)).argmax(1) == 0).all()
    apart = torch.zeros(1, 1, 9, 9)
    apart[..., 4, 4] = 1e4
    assert crf(logits, apart).isfinite().all()


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1)])
def test_images_of_a_single_row_or_pixel_are_taken(size: tuple[int, int]) -> None:
    crf, (logits, images) = head(), example(size)
    found = crf(logits, images)
    assert found.isfinite().all()
    assert torch.equal(found, logits) == (size == (1, 1))


def test_half_precision_under_autocast_stays_near() -> None:
    model, (images, _) = network()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model(images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, model(images).detach(), rtol=0.05, atol=0.05)


class Plain(nn.Module):
    """The UNet as it was before it had an option for a head."""

    def __init__(self, in_channels: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth)]
        self.encoder = nn.ModuleList(
            DoubleConv(*pair) for pair in zip([in_channels, *channels], channels, strict=False)
        )
        rising = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(c, half, 2, 2) for c, half in rising)
        self.decoder = nn.ModuleList(DoubleConv(2 * half, half) for _, half in rising)
        self.head = nn.Conv2d(width, classes, 1)

    forward = UNet.forward
    crf = None


@pytest.mark.parametrize("steps", [0, 2])
def test_the_head_leaves_names_and_initial_weights_of_the_unet_as_they_were(steps: int) -> None:
    torch.manual_seed(6)
    plain = Plain(1, 3, 4, 3).eval()
    torch.manual_seed(6)
    model = UNet(1, 3, 4, 3, crf_steps=steps).eval()
    state, images = model.state_dict(), torch.randn(2, 1, 8, 8)
    assert all(torch.equal(state.pop(name), value) for name, value in plain.state_dict().items())
    assert list(state) == (["crf.w", "crf.mu"] if steps else [])
    assert torch.equal(model(images), plain(images)) == (steps == 0)


@pytest.mark.parametrize("engine", ["auto", "in-place", "stacked"])
def test_a_landscape_of_the_head_is_that_of_the_eager_model(engine: str) -> None:
    model, data = network()
    objective = tg.Objective.from_model(model, F.cross_entropy, data)
    directions = tg.random_directions(objective, 2)
    found = tg.sample(objective, directions, points=5, distance=0.5, engine=engine)
    loss = F.cross_entropy(model(data[0]), data[1]).item()
    assert found["loss"].values[2, 2] == pytest.approx(loss, rel=1e-5)
    moved = copy.deepcopy(model)
    for name, value in moved.named_parameters():
        first, second = directions.vectors[name]
        value.data.add_(-0.5 * first + 0.25 * second)
    wanted = F.cross_entropy(moved(data[0]), data[1]).item()
    assert found["loss"].values[0, 3] == pytest.approx(wanted, rel=1e-5)


def test_the_convolutions_before_the_head_are_still_fused() -> None:
    model, (images, _) = network()
    model.requires_grad_(False)
    quick = fused(model, images)
    assert sum(isinstance(module, _Fused) for module in quick.modules()) == 6
    torch.testing.assert_close(quick(images), model(images), rtol=1e-4, atol=1e-5)
    model.crf.w.mul_(3)
    torch.testing.assert_close(quick(images), model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, "CRF steps is -1; allowed: whole numbers from 0"),
        ({"steps": 2.5}, "CRF steps is 2.5; allowed: whole numbers from 0"),
        ({"radius": 0}, "CRF radius is 0; allowed: whole numbers from 1"),
        ({"theta_beta": 0.0}, r"are \(3.0, 0.0, 1.0\); allowed: above 0"),
    ],
)
def test_bad_arguments_are_refused_with_the_allowed(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CrfRnn(3, **arguments)


@pytest.mark.parametrize("shape", [(2, 1, 12, 11), (1, 1, 12, 12), (2, 12, 12)])
def test_an_image_of_another_size_than_the_logits_is_refused(shape: tuple[int, ...]) -> None:
    message = r"logits \(2, 3, 12, 12\) and images .*; allowed: images \(2, channels, 12, 12\)"
    with pytest.raises(ValueError, match=message):
        head()(example()[0], torch.zeros(shape))


def test_a_study_says_what_of_the_head_is_wrong() -> None:
    kwargs = {"in_channels": 1, "classes": 3, "crf_steps": -2}
    with pytest.raises(TopographError, match="model 'unet' does not accept .*CRF steps is -2"):
        build_model(Target(target="unet", kwargs=kwargs), 0)
