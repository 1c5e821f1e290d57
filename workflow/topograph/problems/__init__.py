"""Differential equations: points, conditions and one residual that training and sampling share."""
