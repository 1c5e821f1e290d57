"""What every other module stands on: errors, seeds, progress, atomic files, provenance."""
