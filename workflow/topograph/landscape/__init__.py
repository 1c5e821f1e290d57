"""Landscapes: curvature at the centre and losses on grids around it."""
