"""Published claims as data: the statistic that tests each, its rule, and the verdict."""
