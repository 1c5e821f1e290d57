"""Pictures drawn from stored tables: one module for each kind."""
