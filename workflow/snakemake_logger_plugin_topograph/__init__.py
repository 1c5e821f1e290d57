"""Snakemake's messages as a person wants them: `snakemake --logger topograph`.

`run.py` shows a run, `why.py` a dry run; `--verbose` shows everything as Snakemake writes it.
"""

import os
import traceback
from dataclasses import dataclass, field
from logging import LogRecord

from rich.console import Console
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from snakemake_logger_plugin_topograph.run import Run
from snakemake_logger_plugin_topograph.view import View
from snakemake_logger_plugin_topograph.why import Why
from topograph.foundation.logs import READER


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The options `--logger-topograph-…`."""

    judge: bool = field(
        default=False,
        metadata={
            "help": "In a dry run, also compare the manifests of the study's results with today's "
            "code, settings and inputs"
        },
    )


class LogHandler(LogHandlerBase):
    """Hands each record to the view of a run or of a dry run."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Choose the view; jobs learn that their logs are read."""
        common = self.common_settings
        console = Console(
            stderr=not common.stdout,
            no_color=common.nocolor or None,
            markup=False,
            highlight=False,
        )
        os.environ[READER] = "1"
        self._view: View
        if common.verbose:
            self._view = View(console, self.format)
        elif common.dryrun:
            judge = isinstance(self.settings, LogHandlerSettings) and self.settings.judge
            self._view = Why(console, self.format, judge)
        else:
            self._view = Run(console, self.format)

    def emit(self, record: LogRecord) -> None:
        """Show one record; a fault of the view is reported and ends nothing."""
        try:
            self._view.show(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Show what can be said only at the end; Snakemake closes more than once."""
        view, self._view = self._view, View(self._view.console, self.format)
        try:
            view.end()
        except Exception:
            # Snakemake would drop it, and the failures of the run with it.
            traceback.print_exc()
        super().close()
