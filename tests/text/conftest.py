"""Fixtures for all that learns from documents."""

import dataclasses
import importlib
import pickle
import subprocess
import sys

import pytest

from skembed.training.run import Run

TRAINERS = {"sequences": "train_sequences", "documents": "train_classes"}


@pytest.fixture
def interrupt_training(monkeypatch):
    """Let training be interrupted after so many passes."""
    original = Run.passes

    def interrupt(n_passes):
        def passes(self, train, max_iter, *, total):
            def interrupted(on_pass, progress):
                def on_pass_then_interrupt(number, tables):
                    on_pass(number, tables)
                    if len(tables.loss_curve) == n_passes:
                        raise KeyboardInterrupt

                if not n_passes:
                    raise KeyboardInterrupt
                return train(on_pass_then_interrupt, progress)

            return original(self, interrupted, max_iter, total=total)

        monkeypatch.setattr(Run, "passes", passes)

    return interrupt


@pytest.fixture
def train_with(monkeypatch):
    """Let estimators train with settings that they have no parameters for, such as the size of a shard."""

    def change(**changes):
        for module, name in TRAINERS.items():
            module = importlib.import_module(f"skembed.training.{module}")
            monkeypatch.setattr(module, name, changed(getattr(module, name), changes))

    def changed(train, changes):
        def train_changed(*arguments, **options):
            *data, settings, run = arguments
            return train(*data, dataclasses.replace(settings, **changes), run, **options)

        return train_changed

    return change


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
