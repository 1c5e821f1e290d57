"""Comparing models: paired tests on the same examples."""
