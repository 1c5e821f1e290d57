"""The loss as a function of the parameter vector, one point or many at a time."""
