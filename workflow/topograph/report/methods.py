"""The usual ways to look at a landscape: the question of each, and when to trust its answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """A method as the gallery presents it: ``kind`` of analysis computes, ``notebook`` draws it."""

    id: str
    title: str
    kind: str
    notebook: str
    question: str
    shows: str
    trust: str
    source: str


SHOWN = (
    Shown(
        "interpolation",
        "Linear interpolation",
        "interpolation",
        "lines",
        "Does the loss fall steadily from the start of training to its end, and is there a wall "
        "between two solutions?",
        "The loss on the straight line between two points of weight space: from a network's "
        "initial to its trained weights, and between the trained weights of two seeds, which "
        "differ only in their random numbers. The barrier is how far the loss rises above a "
        "steady change from one end to the other.",
        "Only the line is seen: a barrier on it does not mean that the solutions are apart, since "
        "a curve may lead around it. Networks with batch norm need their statistics taken again "
        "at each point, or the line shows walls that are none.",
        "Goodfellow et al. 2015",
    ),
    Shown(
        "bezier",
        "Bezier curve",
        "interpolation",
        "curves",
        "Are two solutions joined by some path of low loss?",
        "The loss on a curve with one bend between two trained networks, a quadratic Bezier curve "
        "whose middle point was trained to lower the mean loss on it.",
        "A low curve proves that the solutions are joined. A high one proves nothing: the curve "
        "bends once, and its training may have stopped early.",
        "Garipov et al. 2018",
    ),
    Shown(
        "nudged_elastic_band",
        "Nudged elastic band",
        "interpolation",
        "curves",
        "How low is the lowest pass between two solutions?",
        "The loss on a chain of networks between two trained ones. Each is moved downhill, but "
        "only across the chain, and all keep even distances: the chain settles near a path whose "
        "highest point is low.",
        "Its highest point bounds the lowest pass from above. Between its networks the loss may "
        "be higher, and another path may be lower.",
        "Draxler et al. 2018",
    ),
    Shown(
        "filter_slice",
        "Filter-normalised slices",
        "slices",
        "slices",
        "What does the loss look like around the solution, to scale with the weights?",
        "The loss on a plane through the trained weights along two random directions. Each filter "
        "of a direction is as long as the network's own, so that networks with small and with "
        "large weights compare. The plane reaches to where the loss has grown by a stated factor; "
        "beside it stand other such planes, and the plane that the optimiser's path lies closest "
        "to.",
        "Two directions of thousands: a random slice hardly ever meets a narrow valley. Trust what "
        "all planes have in common, and a path only as far as it lies on its plane.",
        "Li et al. 2018",
    ),
    Shown(
        "hessian_eigenpairs",
        "Top and bottom eigenvalues of the Hessian",
        "topography",
        "curvature",
        "How steep is the steepest direction, and does any direction lead down?",
        "The largest and the smallest eigenvalues of the Hessian, the matrix of second "
        "derivatives of the loss, through training. Large ones belong to steep walls; along the "
        "directions of negative ones the loss falls from a stationary point.",
        "Each has a residual: an eigenvalue smaller than its residual may have either sign. They "
        "describe the loss only as far as it is nearly quadratic.",
        "Lanczos 1950",
    ),
    Shown(
        "hessian_trace",
        "Trace of the Hessian",
        "topography",
        "curvature",
        "How curved is the loss in all directions together?",
        "The sum of all eigenvalues, estimated from products of the Hessian with random vectors.",
        "Read it with its standard error. Few large eigenvalues may make nearly all of it.",
        "Meyer et al. 2021",
    ),
    Shown(
        "hessian_density",
        "Spectral density of the Hessian",
        "topography",
        "curvature",
        "How many directions are flat, how many steep, how many lead down?",
        "The distribution of all eigenvalues, smoothed by a known width: how many directions have "
        "which curvature.",
        "What lies closer together than that width is not told apart, above all near zero; single "
        "outliers are better read from the eigenvalues.",
        "Papyan 2020",
    ),
    Shown(
        "sharpness",
        "Sharpness",
        "topography",
        "topography",
        "How far does the loss rise within a stated distance?",
        "The largest rise of the loss within a ball around the weights; the same with each weight "
        "measured by its own size; and the mean rise.",
        "The first changes when layers are rescaled though the network computes the same. None of "
        "them reliably tells how a network generalises.",
        "Andriushchenko et al. 2023",
    ),
    Shown(
        "gradient_norm",
        "Gradient norm",
        "topography",
        "topography",
        "Has training arrived at a stationary point?",
        "The length of the gradient through training, and how much of it lies along the steepest "
        "directions. At a minimum or a saddle it is zero.",
        "Small or large has a meaning only beside the curvature and the size of the weights.",
        "Gur-Ari et al. 2018",
    ),
    Shown(
        "critical_points",
        "Critical points on a grid",
        "topography",
        "topography",
        "Which minima, saddles and maxima does the landscape have around the solution?",
        "All critical points of the loss on two grids, one along the three steepest directions and "
        "one along three random ones, by their index: 0 is a minimum, 3 a maximum, 1 and 2 are "
        "saddles.",
        "They are critical in three directions, not in all; those at the grid's border and those "
        "between its points are not seen.",
        "Banchoff 1970",
    ),
    Shown(
        "pca",
        "Principal components",
        "weights",
        "maps",
        "Along which few directions did training move, and what is the loss between the runs?",
        "The weights that training passed, of all seeds, on the plane along which they vary most, "
        "with the loss on that plane.",
        "The share of variance on the plane says how much is seen. The contours are the loss of "
        "the plane, not of the points beside it.",
        "Li et al. 2018",
    ),
    Shown(
        "phate",
        "PHATE",
        "weights",
        "maps",
        "Which branches and progressions do the trainings form?",
        "A map on which points are close that a random walk from neighbour to neighbour joins by "
        "many short ways.",
        "Large distances are squeezed. Trust branches that stay for other numbers of neighbours.",
        "Moon et al. 2019",
    ),
    Shown(
        "umap",
        "UMAP",
        "weights",
        "maps",
        "Which points are neighbours?",
        "A map that keeps nearest neighbours together.",
        "Gaps and distances between groups mean little, and other random numbers draw another map.",
        "McInnes et al. 2018",
    ),
    Shown(
        "tsne",
        "t-SNE",
        "weights",
        "maps",
        "Which points form groups?",
        "A map on which each two points are as likely to be neighbours as in weight space.",
        "Sizes of groups and gaps between them mean nothing; it may tear a path apart.",
        "van der Maaten and Hinton 2008",
    ),
    Shown(
        "autoencoder",
        "Autoencoder",
        "weights",
        "maps",
        "What is the loss on the curved surface that the runs lie near?",
        "A second network squeezes weights into two numbers and makes weights of them again; the "
        "loss is evaluated on what it makes of a grid of such numbers.",
        "The error of reconstruction says how far the surface passes from the points, and that of "
        "points held out, between epochs that were seen, whether it was learnt by heart. Between "
        "and beyond them nothing ties it to any training.",
        "Elhamod and Karpatne 2024",
    ),
    Shown(
        "cka",
        "CKA",
        "similarity",
        "alike",
        "Do two networks represent the data alike?",
        "Centred kernel alignment of their last hidden representations of the same examples: 1 "
        "where they differ by rotation and scale alone. Beside it, how often predictions differ "
        "and how far apart the weights are.",
        "A few directions of large variance can make it high. It is unbiased: on few examples it "
        "scatters, but does not flatter.",
        "Nguyen et al. 2021",
    ),
    Shown(
        "barriers",
        "Barriers between seeds",
        "similarity",
        "alike",
        "Which solutions share a basin?",
        "How high the loss rises on the way between each two seeds, as a matrix beside their "
        "likeness; 0 where they share a basin.",
        "As of interpolation: on a straight line, unless another curve was asked for.",
        "Frankle et al. 2020",
    ),
)

# The plane of the optimiser's path is a slice, though it has rows of its own.
PARTS = {"pca_path": "filter_slice"}
