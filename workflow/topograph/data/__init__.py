"""Data sets as tensors: what ships with packages, and checksummed downloads."""
