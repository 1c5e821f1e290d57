"""All cases, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable

import cases_directions as directions
import cases_grid as grid
import cases_hessian as hessian
from package import Package

CASES: tuple[Callable[[Package], str], ...] = (
    grid.slice_of_bowl_2d,
    grid.slice_of_bowl_3d,
    grid.straight_valley,
    grid.centre_value,
    grid.ends_of_axes,
    grid.even_grid,
    grid.distance_scales_reach,
    grid.axis_order,
    grid.non_square,
    grid.listed_coordinates,
    grid.not_finite,
    grid.zero_and_negative,
    grid.repeated,
    grid.any_order,
    grid.model_untouched,
    directions.filter_norms,
    directions.transposed_filter_norms,
    directions.zero_mean,
    directions.small_cosine,
    directions.orthogonal,
    directions.relu_rescaling,
    directions.batch_norm_scale,
    directions.new_batch_norm,
    hessian.eigenvalues_of_bowl,
    hessian.close_eigenvalues,
    hessian.linear_regression_hessian,
    hessian.tenfold_eigenvalue,
    hessian.softmax_regression_hessian,
    hessian.batch_size,
    hessian.deep_linear_minimum,
    hessian.deep_linear_saddle,
    hessian.sine_features,
    hessian.eigenvector_slice,
    hessian.trace_of_bowl,
    hessian.trace_with_outliers,
    hessian.density_of_bowl,
)
