"""The usual ways to look at a loss landscape, each as an analysis of a study."""
