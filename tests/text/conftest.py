"""Fixtures for all that learns from documents."""

import pickle
import subprocess
import sys

import pytest


@pytest.fixture
def interrupt_training(monkeypatch):
    """Let a trainer, ``module.name``, be interrupted after so many passes."""

    def interrupt(module, name, n_passes):
        original = getattr(module, name)

        def train(*arguments, on_pass, **options):
            def on_pass_then_interrupt(number, tables):
                on_pass(number, tables)
                if len(tables.loss_curve) == n_passes:
                    raise KeyboardInterrupt

            if not n_passes:
                raise KeyboardInterrupt
            return original(*arguments, on_pass=on_pass_then_interrupt, **options)

        monkeypatch.setattr(module, name, train)

    return interrupt


@pytest.fixture
def heavy_imports(tmp_path):
    """Call a method of an estimator in a new process, and list which heavy packages that has imported."""

    def call(estimator, method):
        (tmp_path / "estimator.pickle").write_bytes(pickle.dumps(estimator))
        code = (
            f"import pickle, sys; pickle.load(open(sys.argv[1], 'rb')).{method}(['a document']);"
            "print(*(name for name in ('torch', 'numba', 'polars') if name in sys.modules))"
        )
        command = [sys.executable, "-c", code, tmp_path / "estimator.pickle"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    return call
