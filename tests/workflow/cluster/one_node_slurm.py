"""A Slurm of one node, this machine, whose files all lie in one folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd")
# Debian's slurmd takes processes from the process table and no cgroups; without accounting there is
# no database; jobs stay visible for an hour, so that a test can ask what they were given.
CONFIGURATION = """
ClusterName=topograph
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MinJobAge=3600
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def install() -> str | None:
    """Install Debian's packages where they are missing; return what hinders, if anything does."""
    if all(shutil.which(program) for program in PROGRAMS):
        return None if os.geteuid() == 0 else "only root can start Slurm's daemons"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return f"{', '.join(PROGRAMS)} are missing and only root on Debian can install them"
    command = "apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
    return None if done.returncode == 0 else f"Slurm cannot be installed: {done.stderr[-300:]}"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


class OneNodeSlurm:
    """The daemons, while the context lasts; only they are ended, by their own process ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.before = {name: os.environ.get(name, "") for name in ("PATH", "SLURM_CONF")}

    def __enter__(self) -> OneNodeSlurm:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        text = CONFIGURATION.format(
            host=socket.gethostname().split(".")[0],
            ports=free_ports(2),
            folder=self.folder,
            cpus=os.cpu_count(),
            memory=int(0.9 * pages / 2**20),
        )
        (self.folder / "slurm.conf").write_text(text)
        os.environ.update(self.environment())
        try:
            files = ("socket", "key-file", "pid-file", "log-file", "seed-file")
            names = ("socket", "key", "pid", "log", "seed")
            places = [f"--{f}={self.folder}/munge.{n}" for f, n in zip(files, names, strict=True)]
            self.start("munged", "--foreground", "--force", *places)
            self.wait(lambda: (self.folder / "munge.socket").exists())
            self.start("slurmctld", "-D")
            self.start("slurmd", "-D")
            self.wait(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%t"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def environment(self) -> dict[str, str]:
        """Return what commands need to find this Slurm.

        The executor takes every variable of Slurm's, the path of its configuration among them, from
        the steps of a job; an srun that knows the path stands before the real one.
        """
        programs = self.folder / "bin"
        programs.mkdir()
        srun = programs / "srun"
        path = self.folder / "slurm.conf"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={path} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        return {"SLURM_CONF": str(path), "PATH": f"{programs}:{os.environ['PATH']}"}

    def start(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("wb") as out:
            daemon = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        self.daemons.append(daemon)

    def wait(self, ready, seconds: int = 60) -> None:
        for _ in range(2 * seconds):
            if ready():
                return
            time.sleep(0.5)
        logs = "".join(path.read_text()[-1500:] for path in self.folder.glob("*.log"))
        raise AssertionError(f"Slurm was waited for in vain:\n{logs}")

    def __exit__(self, *_: object) -> None:
        try:
            if len(self.daemons) > 2:
                subprocess.run(["scancel", "--user=root"], check=False)
                # The steps of a job outlive the daemon that started them.
                self.wait(lambda: not self.ask("squeue", "--noheader"))
        finally:
            for daemon in reversed(self.daemons):
                daemon.terminate()
                daemon.wait(timeout=60)
            os.environ.update(self.before)

    def ask(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def jobs(self) -> list[dict[str, str]]:
        """Return every job since the start, as `scontrol show job` describes it."""
        lines = self.ask("scontrol", "show", "job", "--oneliner").splitlines()
        words = [line.split() for line in lines if line.startswith("JobId=")]
        return [{w.partition("=")[0]: w.partition("=")[2] for w in row} for row in words]
