"""Do the losses sampled around networks tell how these were trained? Classifiers on equal folds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from topograph.foundation.errors import TopographError, unknown_name

FloatArray = NDArray[np.float64]
# The paper names none; these are scikit-learn's well-known comparison and logistic regression, with
# its defaults but for what keeps them deterministic and able to finish.
CLASSIFIERS: dict[str, Callable[[int], ClassifierMixin]] = {
    "nearest neighbours": lambda _: KNeighborsClassifier(),
    "logistic": lambda _: LogisticRegression(max_iter=1000),
    "linear SVM": lambda seed: SVC(kernel="linear", random_state=seed),
    "RBF SVM": lambda seed: SVC(random_state=seed),
    "Gaussian process": lambda seed: GaussianProcessClassifier(random_state=seed),
    "tree": lambda seed: DecisionTreeClassifier(random_state=seed),
    "forest": lambda seed: RandomForestClassifier(random_state=seed),
    "MLP": lambda seed: MLPClassifier(max_iter=500, random_state=seed),
    "AdaBoost": lambda seed: AdaBoostClassifier(random_state=seed),
    "naive Bayes": lambda _: GaussianNB(),
    # Without shrinkage it needs more rows of a class than there are features.
    "QDA": lambda _: QuadraticDiscriminantAnalysis(solver="eigen", shrinkage="auto"),
}
SCRAMBLED = "scrambled"


def quantile_classes(values: ArrayLike, count: int) -> NDArray[np.int64]:
    """Return the class (N,), 0 to count - 1, of each value by its rank, of sizes that differ by 1.

    Ties are taken in the order given. Raises TopographError for fewer values than classes, or
    values that are not finite.
    """
    found = np.asarray(values, dtype=np.float64)
    if len(found) < count or not np.isfinite(found).all():
        raise TopographError(
            f"{np.count_nonzero(np.isfinite(found))} of {len(found)} values are finite; allowed: "
            f"finite values, at least one for each of {count} classes; leave out what diverged"
        )
    ranks = np.argsort(np.argsort(found, kind="stable"), kind="stable")
    return ranks * count // len(found)


def classify(
    features: Mapping[str, ArrayLike],
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    classifiers: Sequence[str] = tuple(CLASSIFIERS),
    folds: int = 10,
    repeats: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    """Return whether each classifier tells each network's label from each set of features.

    ``features`` maps a name to rows (N, F) of the networks, ``labels`` is (N,), and ``groups`` (N,)
    names the configuration of each: networks of one are never on both sides of a split. All sets
    are tested on the same folds, stratified by label, at most ``folds`` and no more than the
    smallest class has configurations; scaling and medians for what is not finite come from the
    training side; where a classifier cannot be fitted, it does not tell. Rows: features,
    classifier, repeat, network (0 to N - 1) and right, 0 or 1. The set ``scrambled`` is the first
    one with its rows permuted anew in each repeat, the control.

    Raises TopographError for rows that do not match, an unknown classifier, and a class that lies
    in one configuration alone.
    Source: Horoi et al. 2022 (arXiv 2102.00485), Table 1, with groups, which it has not.
    """
    known, owners = np.asarray(labels), np.asarray(groups)
    sets = {name: _finite_or_nan(name, rows, len(known)) for name, rows in features.items()}
    for name in classifiers:
        if name not in CLASSIFIERS:
            raise unknown_name("classifier", name, CLASSIFIERS)
    splits = min(folds, _fewest_configurations(known, owners))
    draw = np.random.default_rng(seed)
    parts = []
    for repeat in range(repeats):
        first = next(iter(sets.values()))
        every = {**sets, SCRAMBLED: first[draw.permutation(len(first))]}
        cut = StratifiedGroupKFold(splits, shuffle=True, random_state=int(draw.integers(2**31)))
        sides = list(cut.split(first, known, owners))
        for name, rows in every.items():
            for chosen in classifiers:
                right = _right(rows, known, sides, CLASSIFIERS[chosen], seed)
                part = {"features": name, "classifier": chosen, "repeat": repeat}
                parts.append(
                    pd.DataFrame({**part, "network": np.arange(len(known)), "right": right})
                )
    return pd.concat(parts, ignore_index=True)


def _right(
    rows: FloatArray,
    labels: NDArray[Any],
    sides: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    make: Callable[[int], ClassifierMixin],
    seed: int,
) -> NDArray[np.int64]:
    """Return for every network whether it was told by a model that had not seen it, (N,)."""
    right = np.zeros(len(labels), dtype=np.int64)
    for training, held_out in sides:
        model = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), make(seed)
        )
        with warnings.catch_warnings():
            # Untuned on purpose, on few rows: slow convergence and collinear features are expected.
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                fitted = model.fit(rows[training], labels[training])
            except (ValueError, np.linalg.LinAlgError):
                # Too few rows of a class for this classifier: it tells nothing.
                continue
            right[held_out] = fitted.predict(rows[held_out]) == labels[held_out]
    return right


def _finite_or_nan(name: str, rows: ArrayLike, networks: int) -> FloatArray:
    found = np.array(rows, dtype=np.float64)
    if found.ndim != 2 or len(found) != networks:
        raise TopographError(
            f"features {name!r} have shape {found.shape}; allowed: ({networks}, F), a row for each "
            "network that has a label"
        )
    found[~np.isfinite(found)] = np.nan
    return found


def _fewest_configurations(labels: NDArray[Any], groups: NDArray[Any]) -> int:
    counts = dict(_configurations(labels, groups))
    label, fewest = min(counts.items(), key=lambda entry: entry[1])
    if len(counts) < 2 or fewest < 2:
        raise TopographError(
            f"class {label!r} lies in {fewest} configuration of {len(set(groups))}, of "
            f"{len(counts)} classes; allowed: two classes or more, each in two configurations or "
            "more; add networks"
        )
    return fewest


def _configurations(labels: NDArray[Any], groups: NDArray[Any]) -> Iterator[tuple[Any, int]]:
    for label in np.unique(labels):
        yield label, len(np.unique(groups[labels == label]))
