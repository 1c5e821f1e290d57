"""From loss values on a grid or graph to merge trees, persistence, profiles and numbers."""
