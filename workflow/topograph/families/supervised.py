"""Classifiers, segmentation and regression networks: training by epochs, resumed from the last."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from topograph.config.models import Adam, Around, Sgd, SupervisedTraining
from topograph.data.dataset import Dataset
from topograph.families.build import build_data, build_loss, build_model
from topograph.families.result import SeedResult, load_state, state_arrays
from topograph.foundation.errors import TopographError
from topograph.foundation.seeds import derive_seed, torch_seed
from topograph.foundation.storage import read_weights, write_weights
from topograph.objective.model import Function, Ratio
from topograph.objective.objective import Objective

EVALUATION_BATCH = 512
# Batch norm keeps many a diverged loss finite: 1000 times that of the untrained network.
DIVERGED = 1000.0


def train_seed(training: SupervisedTraining, seed: int, scratch: Path) -> SeedResult:
    """Train one seed, leaving a checkpoint in ``scratch`` after each epoch.

    The order and the augmentation of an epoch depend on (seed, epoch) alone, so a run resumed
    from a checkpoint equals an uninterrupted one bit for bit. Stops when the loss is not finite.
    """
    dataset, loss = build_data(training.data), build_loss(training.loss)
    model = build_network(training, dataset, seed)
    optimiser = make_optimiser(model, training.optimiser)
    schedule = training.schedule
    weights = {0: state_arrays(model)}
    history = [{"epoch": 0.0, **evaluate(model, dataset, loss)}]
    done, history = _resume(model, optimiser, scratch, weights, history)
    for epoch in range(done + 1, schedule.epochs + 1):
        if not np.isfinite(history[-1]["train_loss"]):
            break
        drops = sum(epoch >= milestone for milestone in schedule.milestones)
        set_learning_rate(optimiser, training.optimiser.learning_rate * schedule.factor**drops)
        order = derive_seed(seed, "epoch", epoch)
        train_epoch(model, optimiser, dataset, loss, batch=schedule.batch, seed=order)
        history.append({"epoch": float(epoch), **evaluate(model, dataset, loss)})
        weights[epoch] = state_arrays(model)
        _checkpoint(optimiser, scratch, epoch, weights[epoch], history)
    last = history[-1]
    diverged = has_diverged(history[0]["train_loss"], last["train_loss"])
    metrics = {"diverged": float(diverged), **{k: v for k, v in last.items() if k != "epoch"}}
    if schedule.keep == "last":
        weights = {epoch: weights[epoch] for epoch in (max(weights),)}
    return SeedResult(weights, history, {**metrics, **_intersection_over_union(model, dataset)})


def has_diverged(first: float, last: float) -> bool:
    """Say whether a loss has grown beyond all measure or is not finite; it may be negative."""
    return not last <= first + (DIVERGED - 1) * abs(first)


def data_sums(training: SupervisedTraining) -> dict[str, str]:
    """Return the SHA-256, in hex, of the tensors of the data set, by the target of the data."""
    return {training.data.target: build_data(training.data).sum}


def build_network(training: SupervisedTraining, dataset: Dataset, seed: int) -> nn.Module:
    """Build the network of a training block with the initial weights of a seed.

    Raises TopographError where it cannot take the data, or where its loss is no scalar.
    """
    return build_model(training.model, seed, partial(_try, training, dataset))


def _try(training: SupervisedTraining, dataset: Dataset, model: nn.Module) -> None:
    """Raise TopographError unless a network's loss on two examples is a scalar with a graph."""
    name, network = f"loss {training.loss.target!r}", f"model {training.model.target!r}"
    inputs, targets = dataset.train_inputs[:2], dataset.train_targets[:2]
    loss = build_loss(training.loss)
    doing = f"{network} fails on inputs {tuple(inputs.shape)}, {inputs.dtype}"
    try:
        outputs = model.eval()(inputs)
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        doing = (
            f"{name} fails on outputs {found} and targets {tuple(targets.shape)}, {targets.dtype}"
        )
        with warnings.catch_warnings():
            # Of (N, 1) outputs and (N,) targets torch makes N x N differences, with a warning.
            warnings.filterwarnings("error", "Using a target size")
            value = loss(outputs, targets)
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, Warning) as error:
        raise TopographError(
            f"{doing}: {error}; correct the arguments, or choose a model and a loss for such data"
        ) from error
    if not isinstance(value, Tensor) or value.ndim or not value.requires_grad:
        made = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise TopographError(
            f"{name} gives {made} from outputs {found}; allowed: a scalar tensor that can be "
            "differentiated, the mean over the batch"
        )


def make_optimiser(model: nn.Module, settings: Sgd | Adam) -> torch.optim.Optimizer:
    """Return torch's optimiser over all parameters, decay on each of them."""
    parameters = model.parameters()
    if isinstance(settings, Sgd):
        return torch.optim.SGD(
            parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    return torch.optim.Adam(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimiser.param_groups:
        group["lr"] = value


def train_epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    dataset: Dataset,
    loss: Function,
    *,
    batch: int,
    seed: int,
) -> None:
    """Run one epoch over shuffled, augmented batches; all that is random is drawn from ``seed``."""
    generator = torch.Generator().manual_seed(seed)
    model.train()
    order = torch.randperm(len(dataset.train_inputs), generator=generator)
    # Dropout draws from the global generator.
    with torch_seed(seed):
        for chosen in order.split(batch):
            inputs, targets = dataset.train_inputs[chosen], dataset.train_targets[chosen]
            if dataset.augmentation is not None:
                inputs = dataset.augmentation(inputs, generator)
            optimiser.zero_grad()
            loss(model(inputs), targets).backward()
            optimiser.step()


@torch.no_grad()
def evaluate(model: nn.Module, dataset: Dataset, loss: Function) -> dict[str, float]:
    """Return mean loss and accuracy, without augmentation, on the training and the test set.

    Where targets are no classes there is no accuracy: NaN.
    """
    model.eval()
    found = {}
    splits = {
        "train": (dataset.train_inputs, dataset.train_targets),
        "test": (dataset.test_inputs, dataset.test_targets),
    }
    for split, (inputs, targets) in splits.items():
        outputs = logits(model, inputs)
        found[f"{split}_loss"] = float(loss(outputs, targets))
        right = float(accuracy(outputs, targets)) if dataset.has_classes else float("nan")
        found[f"{split}_accuracy"] = right
    return found


@torch.no_grad()
def logits(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return outputs for inputs of any length, in batches."""
    return torch.cat([model(part) for part in inputs.split(EVALUATION_BATCH)])


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of examples, or of pixels, whose largest logit is the target's."""
    return (outputs.argmax(dim=1) == targets).to(outputs.dtype).mean()


def _intersection_over_union(model: nn.Module, dataset: Dataset) -> dict[str, float]:
    """Return the test IoU of each class for segmentation, nothing for classification."""
    if not dataset.has_classes or dataset.test_targets.ndim < 3:
        return {}
    model.eval()
    predicted, targets = logits(model, dataset.test_inputs).argmax(dim=1), dataset.test_targets
    scores = {}
    for index, name in enumerate(dataset.classes):
        inside, truth = predicted == index, targets == index
        union = float((inside | truth).sum())
        scores[f"iou_{name.replace(' ', '_')}"] = float((inside & truth).sum()) / max(union, 1.0)
    return scores


def _checkpoint(
    optimiser: torch.optim.Optimizer,
    scratch: Path,
    epoch: int,
    state: Mapping[str, np.ndarray],
    history: list[dict[str, float]],
) -> None:
    tensors = {f"model/{name}": value for name, value in state.items()}
    for index, entries in optimiser.state_dict()["state"].items():
        for key, value in entries.items():
            if value is not None:
                tensors[f"optimiser/{index}/{key}"] = torch.as_tensor(value).numpy()
    write_weights(
        scratch / f"epoch-{epoch:04d}.safetensors", tensors, {"history": json.dumps(history)}
    )


def _resume(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    scratch: Path,
    weights: dict[int, dict[str, np.ndarray]],
    history: list[dict[str, float]],
) -> tuple[int, list[dict[str, float]]]:
    """Load the checkpoints of ``scratch``; return the last epoch done and its history."""
    checkpoints = sorted(scratch.glob("epoch-*.safetensors"))
    if not checkpoints:
        return 0, history
    for path in checkpoints:
        state, header = read_weights(path, "model/")
        weights[int(path.stem.partition("-")[2])] = state
    load_state(model, state)
    entries: dict[int, dict[str, Tensor]] = {}
    for name, value in read_weights(path)[0].items():
        if name.startswith("optimiser/"):
            _, index, key = name.split("/")
            entries.setdefault(int(index), {})[key] = torch.from_numpy(value)
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": entries, "param_groups": groups})
    return max(weights), json.loads(header["history"])


def predict(
    training: SupervisedTraining, states: Mapping[int, Mapping[str, np.ndarray]]
) -> xr.Dataset:
    """Return predicted(seed, example[, y, x]), target and, for segmentation, the test images.

    They are classes; without classes predicted(seed, example, output_1, …) holds the outputs and
    target(example, target_1, …) the targets.
    """
    dataset = build_data(training.data)
    networks = (_loaded(training, dataset, state) for state in states.values())
    predicted = np.stack([_predicted(network, dataset).numpy() for network in networks])
    found = xr.Dataset(coords={"seed": list(states)})
    targets = dataset.test_targets.numpy()
    if not dataset.has_classes:
        outputs = [f"output_{axis}" for axis in range(1, predicted.ndim - 1)]
        found["predicted"] = (("seed", "example", *outputs), predicted)
        wanted = [f"target_{axis}" for axis in range(1, targets.ndim)]
        found["target"] = (("example", *wanted), targets)
        return found
    dims = ("example", *"zyx"[4 - targets.ndim :])
    found["predicted"] = (("seed", *dims), predicted.astype(np.int16))
    found["target"] = (dims, targets.astype(np.int16))
    if len(dims) == 3 and dataset.test_inputs.ndim == 4:
        found["image"] = (dims, dataset.test_inputs[:, 0].numpy())
    return found.assign_attrs(classes=list(dataset.classes))


def _predicted(model: nn.Module, dataset: Dataset) -> Tensor:
    with torch.no_grad():
        outputs = logits(model, dataset.test_inputs)
    return outputs.argmax(dim=1) if dataset.has_classes else outputs


def _loaded(
    training: SupervisedTraining, dataset: Dataset, state: Mapping[str, np.ndarray]
) -> nn.Module:
    """Return a network with given weights, in evaluation mode."""
    return load_state(build_network(training, dataset, 0), state).eval()


def objective(
    training: SupervisedTraining, state: Mapping[str, np.ndarray], analysis: Around
) -> Objective:
    """Return the mean loss on training examples, evenly spaced over the set.

    Without augmentation and, unless the analysis asks for it, without the decay term: the data loss
    that the papers plot. Metrics are the accuracy and, for segmentation, the IoU of each class;
    none where targets are no classes.

    Raises TopographError where the analysis asks for more examples than there are.
    """
    dataset = build_data(training.data)
    total = len(dataset.train_inputs)
    wanted = analysis.examples or total
    if wanted > total:
        raise TopographError(
            f"examples: {wanted} asked for, but data {training.data.target!r} have {total} for "
            "training; ask for fewer, or leave the key out for all"
        )
    chosen = torch.linspace(0, total - 1, wanted).round().long()
    batch = (dataset.train_inputs[chosen], dataset.train_targets[chosen])
    decay = training.optimiser.weight_decay if analysis.objective == "regularised" else 0.0
    return Objective.from_model(
        _loaded(training, dataset, state),
        build_loss(training.loss),
        batch,
        metrics=_metrics(dataset),
        batch_norm=analysis.batch_norm,
        weight_decay=decay,
    )


def _metrics(dataset: Dataset) -> dict[str, Function | Ratio]:
    if not dataset.has_classes:
        return {}
    pixels = dataset.train_targets.ndim == 3
    return {"accuracy": accuracy, **({"iou": Ratio(_both, _either)} if pixels else {})}


def _both(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of pixels, for each class, that are both predicted and true."""
    predicted, true = _memberships(outputs, targets)
    return (predicted & true).to(outputs.dtype).mean(dim=(0, 2, 3))


def _either(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of pixels, for each class, that are predicted or true."""
    predicted, true = _memberships(outputs, targets)
    return (predicted | true).to(outputs.dtype).mean(dim=(0, 2, 3))


def _memberships(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return (B, classes, H, W) twice: which class is predicted where, and which is true."""
    classes = torch.arange(outputs.shape[1], device=outputs.device)[:, None, None]
    return outputs.argmax(dim=1, keepdim=True) == classes, targets[:, None] == classes
