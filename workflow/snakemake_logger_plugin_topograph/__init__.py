"""Snakemake's messages as a person wants them: `snakemake --logger topograph`."""

from __future__ import annotations

import sys
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Prints what Snakemake reports."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        """Print one record."""
        print(self.format(record), file=sys.stderr, flush=True)
