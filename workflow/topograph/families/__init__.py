"""Families of models: how each is built, trained, resumed and turned into an objective."""
