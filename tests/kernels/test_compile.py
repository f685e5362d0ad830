"""Compilation of kernels: where they are kept, what happens where they cannot be, and messages about the time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import skembed

# files are read and vectors are learned in this order; what was warned of is printed
USE = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    import skembed
    assert skembed.__file__.startswith(sys.argv[1]), skembed.__file__
    with open(sys.argv[2], "w") as file:
        file.write("the 0.5 0.25\\nof 0.75 0.5\\n")
    table = skembed.EmbeddingTable.load(sys.argv[2])
    assert table.lookup(["of"]).tolist() == [[0.75, 0.5]]
    from skembed.kernels import merge
    deltas, ends, rows = np.ones((1, 2), np.float32), np.array([1]), np.array([0], np.int32)
    learned = np.zeros((1, 2), np.float32)
    merge.add_deltas(learned, rows, ends, deltas, 0, 1, np.ones(1, np.float32))
    assert learned.any()
for warning in caught:
    print(warning.category.__name__, warning.message)
"""
ROOT = Path(skembed.__file__).parent
SETTINGS = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}


def run(code: str, *arguments: object, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a folder, in a process that knows of no home and no cache but those given."""
    hidden = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "USERPROFILE", "LOCALAPPDATA", "PYTHONWARNINGS")
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env={**inherited, **SETTINGS, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def copy(tmp_path) -> Path:
    """A folder with a copy of the package that has never compiled anything."""
    shutil.copytree(ROOT, tmp_path / "site" / "skembed", ignore=lambda *_: ["__pycache__"])
    return tmp_path / "site"


def run_copy(copy: Path, **environment: str) -> list[str]:
    """The warnings of a process that reads and learns with a copy of the package."""
    done = run(USE, copy, copy.parent / "vectors.txt", folder=copy, PYTHONPATH=str(copy), **environment)
    return done.stdout.splitlines()


def assert_one_warning(warnings: list[str]) -> None:
    (only,) = [warning for warning in warnings if "NUMBA_CACHE_DIR" in warning]
    assert warnings == [only]
    assert only.startswith("UserWarning skembed compiles its kernels anew in each process")


@pytest.mark.skipif(sys.platform == "win32", reason="the home of a user is asked of the system there")
class TestWithoutAWritableFolder:
    def test_files_in_the_place_of_folders(self, copy):
        # for root, too, a folder cannot be made where a file is
        (copy / "skembed" / "kernels" / "__pycache__").write_text("")
        assert_one_warning(run_copy(copy, HOME="/dev/null"))

    def test_read_only_packages_and_no_home(self, copy):
        for path in [*copy.rglob("*"), copy]:
            path.chmod(path.stat().st_mode & ~0o222)
        try:
            if os.access(copy, os.W_OK):
                pytest.skip("this user, root perhaps, may write to any folder")
            assert_one_warning(run_copy(copy, HOME=str(copy / "no home")))
        finally:
            for path in [copy, *copy.rglob("*")]:
                path.chmod(0o755)

    def test_the_variable_that_the_warning_names_is_enough(self, copy, tmp_path):
        (copy / "skembed" / "kernels" / "__pycache__").write_text("")
        assert run_copy(copy, HOME="/dev/null", NUMBA_CACHE_DIR=str(tmp_path / "cache")) == []
        assert list((tmp_path / "cache").rglob("*.nbc"))


# a kernel that was compiled before is called; what was warned of, and whether it came from the cache, is printed
CALL = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from skembed.kernels import merge
    exec(sys.argv[1])
    total, covered = np.ones(2, np.float32), np.ones(2, np.float32)
    merge.clear_step_weights(np.array([1], np.int32), 0, 1, total, covered)
    merge.clear_step_weights(np.array([1], np.int64), 0, 1, total, covered)
    assert total.tolist() == [1, 0]
print(sum(merge.clear_step_weights.stats.cache_hits.values()))
for warning in caught:
    print(warning.category.__name__, warning.message)
"""


@pytest.fixture
def call(tmp_path):
    """Call a kernel for two signatures: how often the cache was of use, and the warnings."""

    def call(before: str = "") -> tuple[int, list[str]]:
        done = run(CALL, before, folder=ROOT.parent, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
        hits, *warnings = done.stdout.splitlines()
        return int(hits), warnings

    return call


def test_a_change_in_any_file_of_kernels_is_a_change_of_all(copy, tmp_path):
    # what a kernel calls lies in other files, of which numba knows nothing
    def hits() -> int:
        environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(copy)}
        return int(run(CALL, "", folder=copy, **environment).stdout.splitlines()[0])

    assert hits() == 0
    assert hits() == 2
    with (copy / "skembed" / "kernels" / "random.py").open("a") as file:
        file.write("# another line\n")
    assert hits() == 0


class TestBrokenCache:
    @pytest.mark.parametrize(("suffix", "content"), [(".nbi", b""), (".nbc", b""), (".nbi", b"no pickle")])
    def test_damaged_files_are_replaced(self, call, tmp_path, suffix, content):
        assert call() == (0, [])
        assert call() == (2, [])
        for path in (tmp_path / "cache").rglob(f"*{suffix}"):
            path.write_bytes(content)
        assert call() == (0, [])
        assert call() == (2, [])

    def test_a_folder_that_is_gone_when_a_kernel_is_called(self, call, tmp_path):
        folder = str(tmp_path / "cache")
        hits, warnings = call(f"import shutil; shutil.rmtree({folder!r}); open({folder!r}, 'w').close()")
        assert hits == 0
        assert_one_warning(warnings)

    def test_a_disk_that_is_full(self, call):
        hits, warnings = call(
            "import errno, os\n"
            "def replace(*paths): raise OSError(errno.ENOSPC, 'No space left on device')\n"
            "os.replace = replace"
        )
        assert hits == 0
        assert "No space left on device" in warnings[0]
        assert_one_warning(warnings)


# kernels are called from two threads, after at most so many seconds of compilation it is to be said
TWO_THREADS = """
import logging, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from skembed.kernels import compile, merge
compile.QUIET_SECONDS = float(sys.argv[1])
exec(sys.argv[2])
arguments = 0, 1, np.ones(9, np.float32), np.ones(9, np.float32)
rows = [np.arange(9, dtype=kind) for kind in (np.int16, np.int32, np.int64)]
with ThreadPoolExecutor(2) as pool:
    kernels = merge.clear_step_weights, merge.find_scales
    done = [pool.submit(kernel, row, *arguments) for row in rows for kernel in kernels]
[each.result() for each in done]
"""


class TestLine:
    @pytest.fixture
    def said(self, tmp_path):
        def said(seconds: float, before: str = "") -> list[str]:
            folder = str(tmp_path / "cache")
            done = run(TWO_THREADS, seconds, before, folder=ROOT.parent, NUMBA_CACHE_DIR=folder)
            assert done.stdout == ""
            return done.stderr.splitlines()

        return said

    def test_one_line_in_a_process_that_compiles_for_long_and_none_where_kernels_are_kept(self, said, tmp_path):
        (line,) = said(0.0)
        assert line.startswith("skembed is compiling its kernels")
        assert f"kept in {tmp_path / 'cache'}" in line
        assert said(0.0) == []

    def test_no_line_where_it_takes_less(self, said):
        assert said(1e6) == []

    def test_logging_decides_where_it_goes(self, said):
        assert said(0.0, "logging.getLogger('skembed').setLevel('ERROR')") == []
        before = "import numba\nnumba.config.CACHE_DIR += '2'\nlogging.basicConfig(format='%(name)s: %(message)s')"
        assert said(0.0, before) == []  # all is kept since the first call

    def test_it_is_said_while_the_compiler_is_at_work(self, said):
        # the compiler of the first kernel ends only when the line is there
        wait = (
            "import io, sys, time\n"
            "sys.stderr, stderr = io.StringIO(), sys.stderr\n"
            "compiler, compile_now = merge.clear_step_weights._compiler, merge.clear_step_weights._compiler.compile\n"
            "def wait(*arguments):\n"
            "    for _ in range(600):\n"
            "        if sys.stderr.getvalue(): break\n"
            "        time.sleep(0.1)\n"
            "    print(sys.stderr.getvalue(), file=stderr, end='')\n"
            "    compiler.compile = compile_now\n"
            "    return compile_now(*arguments)\n"
            "compiler.compile = wait"
        )
        (line,) = said(0.0, wait)
        assert line.startswith("skembed is compiling its kernels")

    def test_kernels_of_others_are_their_own_matter(self, tmp_path):
        code = (
            "import numba\n"
            "from skembed.kernels import compile\n"
            "compile.QUIET_SECONDS = 0.0\n"
            "assert numba.njit(lambda x: x + 1)(1) == 2\n"
        )
        assert run(code, folder=ROOT.parent, NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""
