"""Shared parts of benchmarks of training: one run in a process of its own, medians, and what it all ran on."""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["describe", "in_process", "medians"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def in_process(file: str, specification: Sequence, n_threads: int, **environment: str) -> dict:
    """Run ``file --one SPECIFICATION`` with so many threads and no more; what it printed last, read as JSON."""
    path = os.pathsep.join([str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, file, "--one", json.dumps(specification)],
        env=os.environ | dict.fromkeys(THREADS, str(n_threads)) | {"PYTHONPATH": path} | environment,
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{specification} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def medians(runs: list[dict]) -> dict:
    """Of each figure, over runs."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def describe(*packages: str) -> str:
    """The processor, Python, versions of packages, and how busy the machine is."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores; "
        f"Python {platform.python_version()}, {versions}\n"
        f"load average before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}"
    )
