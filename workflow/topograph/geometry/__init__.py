"""Flat parameter vectors, Gram matrices, principal components and directions."""
