"""A run as it goes, redrawn at a terminal and in plain lines elsewhere, and its summary."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from logging import LogRecord
from pathlib import Path
from threading import Event, Thread

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from snakemake_logger_plugin_topograph.job import Job, cause_of_process, duration
from snakemake_logger_plugin_topograph.terminal import LinesAbove
from snakemake_logger_plugin_topograph.view import (
    NOTHING_TO_DO,
    TARGET_RULE,
    QuietView,
    counted,
    jobs,
    words,
)

SECONDS_BETWEEN_LINES = 60.0


class Run(QuietView):
    """Shows a run of the workflow."""

    def __init__(self, console: Console, format_record: Callable[[LogRecord], str]) -> None:
        super().__init__(console, format_record)
        self._running: dict[int, Job] = {}
        self._finished: list[Job] = []
        self._failed: dict[int, Job] = {}
        self._left: Counter[str] = Counter()
        self._total = 0
        self._errors: list[str] = []
        self._interrupted = False
        self._began = time.time()
        self._touches = not {"--touch", "-t"}.isdisjoint(sys.argv)
        self._ended = Event()
        self._live: Live | None = None
        self._above: LinesAbove | None = None

    def run_info(self, record: LogRecord) -> None:
        """Say how many jobs there are, and begin to show them."""
        counts = {k: v for k, v in record.__dict__["stats"].items() if k != "total"}
        counts.pop(TARGET_RULE, None)
        self._left, self._total = Counter(counts), sum(counts.values())
        what = "to mark as up to date" if self._touches else "to run"
        self.say(f"{jobs(self._total)} {what}: {counted(counts)}")
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._above = LinesAbove(self.console, self.say)
            self._live = Live(
                console=self.console,
                get_renderable=self._display,
                refresh_per_second=2,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        else:
            Thread(target=self._tell_now_and_then, daemon=True).start()

    def job_info(self, record: LogRecord) -> None:
        """Note that a job starts; the rule that only names the study is none."""
        job = Job.of(record)
        if job.outputs:
            self._running[record.__dict__["jobid"]] = job
            if self._live is None and not self._touches:
                self.say(f"{' ' * len(self._count())} {job.name}: started")

    def job_started(self, record: LogRecord) -> None:
        """Leave out the numbers of the jobs that start: each is announced by itself."""

    def job_finished(self, record: LogRecord) -> None:
        """Say which job ended, and how long it took."""
        if job := self._running.pop(record.__dict__["job_id"], None):
            self._finished.append(job.stop())
            self._left[job.rule] -= 1
            if not self._touches:
                self.say(f"{self._count()} {job.name}: {duration(job.seconds)}")

    def error(self, record: LogRecord) -> None:
        """Keep the error of a job's process until the job is named; show any other."""
        text = record.getMessage()
        if "CalledProcessError" in text:
            self._errors.append(text)
        elif without_output := re.search(r"Job (\d+) +completed successfully, but", text):
            files = ", ".join(re.findall(r"^(.+) \(missing", text, re.MULTILINE))
            self._fail(
                int(without_output[1]), f"it ended without an error but did not make {files}"
            )
        else:
            super().error(record)

    def job_error(self, record: LogRecord) -> None:
        """Say that a job failed, and keep why."""
        fields = record.__dict__
        error = self._errors.pop(0) if self._errors else ""
        self._fail(fields["jobid"], fields.get("rule_msg") or cause_of_process(error))

    def _fail(self, number: int, cause: str) -> None:
        job = self._running.pop(number, None)
        if job is None or self._interrupted:
            return
        self._failed[number] = job.fail(cause)
        where = job.own_log() or "before it opened its log"
        self.say(
            f"{self._count()} {job.name}: failed after {duration(job.seconds)}: {where}", "red"
        )

    def message(self, record: LogRecord) -> None:
        """Print what is no noise, and understand a second attempt and an interruption."""
        text = record.getMessage() or ""
        if again := re.match(r"Trying to restart job (\d+)", text):
            if job := self._failed.pop(int(again[1]), None):
                self.say(f"{' ' * len(self._count())} {job.name}: tried again")
        elif text.startswith("Terminating processes on user request"):
            self._interrupted = True
            self.say("Stopping: waiting for the running jobs to end.")
        elif text.startswith(NOTHING_TO_DO):
            self.say(text)
            self._say_where()
        else:
            super().message(record)

    def end(self) -> None:
        """Say what ran, how long, what failed and why, and where to look."""
        self._ended.set()
        if self._live is not None:
            self._live.stop()
        if self._above is not None:
            self._above.stop()
        if not self._interrupted:
            for text in self._errors:
                self.say(text, "red")
        if self._total:
            self._summary()

    def _summary(self) -> None:
        done, failed = self._finished, list(self._failed.values())
        not_run = self._total - len(done) - len(failed)
        parts = [f"{jobs(len(done))} {'marked as up to date' if self._touches else 'done'}"]
        parts += [f"{len(failed)} failed"] if failed else []
        parts += [f"{not_run} not run"] if not_run else []
        self.say(f"\n{', '.join(parts)} in {duration(time.time() - self._began)}")
        seconds: dict[str, float] = defaultdict(float)
        for job in done:
            seconds[job.rule] += job.seconds
        counts = Counter(job.rule for job in done)
        width = max((len(rule) for rule in counts), default=0)
        for rule, count in counts.items():
            self.say(f"  {words(rule):<{width}} {count:>4}   {duration(seconds[rule])}")
        for job in failed:
            self._explain(job)
        if self._interrupted or not_run or failed:
            self.say(
                ("Interrupted. " if self._interrupted else "")
                + ("Mend the cause and run" if failed else "Run")
                + " the same command again: what is finished stays."
            )
        self._say_where()

    def _explain(self, job: Job) -> None:
        cause = "\n".join(f"    {line}" for line in job.cause.splitlines())
        log = job.own_log() or "none, the job failed before it opened it"
        self.say(f"Failed: {job.name}, after {duration(job.seconds)}", "red")
        self.say(f"{cause}\n    log: {log}")

    def _say_where(self) -> None:
        made = [path for job in self._finished for path in job.outputs if path.endswith(".html")]
        site = f"reports/{self.study_file.stem}/index.html" if self.study_file else ""
        if Path(site).is_file() and (site in made or not self._total):
            self.say(f"Look at {Path(site).resolve()}")
        elif made:
            self.say(f"Look at {Path(made[-1]).resolve()}")

    def _count(self) -> str:
        done = len(self._finished) + len(self._failed)
        return f"[{done:>{len(str(self._total))}}/{self._total}]"

    def _display(self) -> RenderableType:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True)
        table.add_column(ratio=4, no_wrap=True, overflow="ellipsis", style="dim")
        # More than fit would push the bar off the screen.
        for job in list(self._running.values())[: self.console.height - 4]:
            table.add_row(job.name, duration(time.time() - job.started), job.progress())
        done = len(self._finished)
        bar = Table.grid(padding=(0, 2), expand=True)
        bar.add_column(width=30)
        bar.add_column(no_wrap=True)
        bar.add_column(ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
        bar.add_row(
            ProgressBar(self._total, done),
            f"{done}/{self._total} jobs, {duration(time.time() - self._began)}",
            f"left: {counted(+self._left)}",
        )
        return Group(table, bar)

    def _tell_now_and_then(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_LINES):
            for job in list(self._running.values()):
                seconds = time.time() - job.started
                if seconds >= SECONDS_BETWEEN_LINES:
                    parts = filter(None, [duration(seconds), job.progress()])
                    self.say(f"{' ' * len(self._count())} {job.name}: {', '.join(parts)}")
