"""Maps of points known by their distances: PHATE, other embeddings and their quality."""
