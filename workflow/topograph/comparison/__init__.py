"""Comparing models: paired tests, classifiers, and how alike networks are."""
