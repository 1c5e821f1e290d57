"""Notebooks executed, figures published, and the site that shows them."""
