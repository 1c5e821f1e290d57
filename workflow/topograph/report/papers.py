"""The papers that the study follows, and sayings of the field, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Saying:
    """What is said in the field, what it means and what would refute it, and the claims made of it.

    ``claims`` are ids of `topograph.claims`.
    """

    name: str
    words: str
    meaning: str
    refuted: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Paper:
    """A paper, or several by what is said after them.

    ``figures`` says what the published figure of each id shows; ``sayings`` are on its page.
    """

    name: str
    title: str
    authors: str
    source: str
    about: str
    figures: Mapping[str, str]
    sayings: tuple[Saying, ...] = ()


PROFILES = Paper(
    name="profiles",
    title="Visualizing Loss Functions as Topological Landscape Profiles",
    authors="Geniesse et al.",
    source="2024, arXiv 2411.12136",
    about=(
        "Samples the loss along two, three or four Hessian eigenvectors, follows how the sets of "
        "points below a rising loss appear and merge, and draws the resulting tree as a profile "
        "whose width counts points. The shapes are compared over settings, seeds and epochs."
    ),
    figures={
        "tlp-fig1": (
            "The method from a network to its profile: eigenvalues of the Hessian, a grid of "
            "losses in more than two dimensions, the merge tree, the profile."
        ),
        "tlp-fig2": (
            "One two-dimensional loss surface, its merge tree with minima and saddles, and how "
            "basins of the tree become the parts of a profile on the same loss axis."
        ),
        "tlp-fig3": (
            "Physics-informed networks for the convection equation: relative error over 14 values "
            "of beta and 5 learning rates (means of 5 seeds), profiles of 5 seeds at three of "
            "these settings, and the solutions that the networks found."
        ),
        "tlp-fig4": (
            "Segmentation networks on Oxford-IIIT Pet: test accuracy over 7 learning rates and 30 "
            "epochs, and the profiles of 3 seeds at 6 epochs of one learning rate."
        ),
        "tlp-a5": (
            "Profiles of the same physics-informed networks in four dimensions beside those in "
            "three."
        ),
        "tlp-b6": "Profiles of the segmentation networks at each learning rate.",
    },
)

COMPANION = Paper(
    name="companion",
    title="Evaluating Loss Landscapes from a Topology Perspective",
    authors="Xie, Geniesse et al.",
    source="2024, arXiv 2411.09807",
    about=(
        "Sums landscapes up in numbers: counts of minima and saddles and the average persistence "
        "of merge trees, set beside the error and the curvature of the trained networks."
    ),
    figures={
        "topo-fig1": (
            "ResNet-20 on CIFAR-10 with and without residual connections: loss surfaces, their "
            "merge trees and persistence diagrams."
        ),
        "topo-fig2": (
            "Physics-informed networks at beta 1, 3, 5, 7 and 9: surfaces along Hessian and along "
            "random directions, merge tree, persistence diagram, spectral density, prediction."
        ),
        "topo-fig5": (
            "Saddles, average persistence, largest Hessian eigenvalue and trace of ResNet-20 with "
            "and without residual connections, 4 seeds each."
        ),
        "topo-fig6": (
            "Error, saddles, average persistence, largest eigenvalue and trace of "
            "physics-informed networks at beta 1 to 10."
        ),
    },
)

JUMP_AND_RETRAIN = Paper(
    name="jump-and-retrain",
    title="Exploring the Geometry and Topology of Neural Network Loss Landscapes",
    authors="Horoi, Huang, Rieck, Lajoie, Wolf and Krishnaswamy",
    source="2022, arXiv 2102.00485",
    about=(
        "Jumps away from trained weights along random rays, retrains from each point, maps the "
        "trajectories with PHATE and measures the homology of their graph, for networks that "
        "generalise well, badly or not at all."
    ),
    figures={
        "jr-fig1a": (
            "Trajectories of one WideResNet after jumps, mapped by PHATE, t-SNE, UMAP and PCA."
        ),
        "jr-fig1b": "An artificial tree with known branches, mapped by the same four methods.",
        "jr-fig2a": "Losses sampled on a three-dimensional grid around the trained weights.",
        "jr-fig2b": "Losses sampled along many random rays, without retraining.",
        "jr-fig2c": "The same network by jump and retrain, on the same colours of the loss.",
        "jr-fig2d": "Jump and retrain from a network that generalises well.",
        "jr-fig2e": "Jump and retrain from a network that generalises badly.",
        "jr-fig2f": "Jump and retrain from a network that has memorised random labels.",
        "jr-fig3a": (
            "Maps and persistence diagrams of three WideResNets of 83, 87 and 91 % test accuracy, "
            "with the total persistence of each."
        ),
        "jr-fig3b": (
            "Total persistence against the test loss of 108 networks, coloured by weight decay."
        ),
        "jr-table1": (
            "How well classifiers tell a network's generalisation, weight decay and augmentation "
            "from losses sampled by jump and retrain, on rays and on a grid."
        ),
    },
)

SAYINGS = Paper(
    name="sayings",
    title="Sayings of the field",
    authors="Hochreiter and Schmidhuber; Dauphin et al.; Keskar et al.; Li et al.; Cohen et al.",
    source="1997 to 2021",
    about=(
        "What is said of loss landscapes more often than it is tested, each put as a statement "
        "that numbers can refute, with its threshold fixed before they were there."
    ),
    figures={},
    sayings=(
        Saying(
            name="flat-minima",
            words="Flat minima generalise better",
            meaning=(
                "Where the loss rises slowly around the trained weights, other data, which shift "
                "the landscape a little, should change it little. Sharpness is how far the loss "
                "rises within a small step; the adaptive one measures a step against the size of "
                "each weight, so that rescaled layers count as the same network. The trace of the "
                "Hessian is its classic relative, which rescaling changes."
            ),
            refuted=(
                "cells of equal augmentation in which the gap between test and training loss does "
                "not rise with sharpness"
            ),
            claims=("flat-minima-by-adaptive-sharpness", "flat-minima-by-trace"),
        ),
        Saying(
            name="saddles",
            words="Saddles outnumber minima in high dimensions",
            meaning=(
                "A minimum has to curve upwards along every axis, a saddle only along some, so "
                "that chance alone leaves few minima among many axes. Slices of a growing number "
                "of random directions are a small look at that; on a line there is no saddle, so "
                "that counting begins in the plane."
            ),
            refuted="slices whose ratio of saddles to minima stays or falls as axes are added",
            claims=("saddles-with-dimension",),
        ),
        Saying(
            name="small-steps",
            words="Steep landscapes need small steps",
            meaning=(
                "On a bowl of curvature lambda gradient descent diverges beyond a learning rate of "
                "2 / lambda. A network is no bowl: the saying is that its largest eigenvalue still "
                "tells the largest rate at which training stays, in order and within a factor of 2."
            ),
            refuted=(
                "largest stable rates that do not fall with the eigenvalue, or lie off 2 / lambda "
                "by more than a factor of 2 on average"
            ),
            claims=("steep-needs-small-steps", "steps-of-two-over-curvature"),
        ),
        Saying(
            name="skips",
            words="Skip connections smooth the landscape",
            meaning=(
                "Slices through networks with skip connections are said to be smooth and nearly "
                "convex, those without chaotic. Roughness counts what a line through a slice rises "
                "and falls beyond one valley, in units of its range."
            ),
            refuted=(
                "networks without skips whose random filter-normalised slices are as smooth, or "
                "as convex, as those with"
            ),
            claims=("skips-less-rough", "skips-more-convex"),
        ),
    ),
)

PAPERS = {paper.name: paper for paper in (PROFILES, COMPANION, JUMP_AND_RETRAIN, SAYINGS)}
