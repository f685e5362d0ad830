"""Break one line at a time in a copy of the library and see whether its tests notice. Not a test itself.

    python tests/mutation.py --measure              # once: which test executes which line; needs `coverage`
    python tests/mutation.py --lines 200 --seed 0   # draw lines, break each in one way, run the tests that execute it
    python tests/mutation.py --at skembed/base.py:40  # every way to break one line

Lines are drawn from those that some operator of `changes` applies to: no docstrings, imports, annotations or messages,
no assignment whose absence would only be a NameError, and of the kernels only what Python runs. The tests of the line's
own package run first, the fastest in front; where they pass, the other packages' tests do. Everything happens in a copy
of the checkout under `--work`, in random order; what was noticed is not tried again. `tests/mutation.toml` says which
changes alter nothing that could be tested, and why.
"""

import argparse
import ast
import gc
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import tomllib
import types
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = shutil.ignore_patterns(".git", "__pycache__", ".venv", ".*_cache", ".hypothesis", "build", "dist")
PATIENCE = 6  # times the processor time that is allowed
GRACE = 30  # seconds of processor time that tests may take beyond three times of what they took when measured
LONGEST = 5  # seconds of processor time that a test may take to be among those that are run
EACH = 2  # seconds for a test function: its further parameters are not measured; what survives is tried with all
ALL_OF = "test_learned_", "test_refused_", "test_blocks"  # of these all is measured: each example has lines of its own
ON_IMPORT = {"tests/test_docstrings.py::test_documented_defaults_are_those_of_the_code"}  # and it sees signatures
OVERHEAD = 0.05  # seconds of any test, beside those of its own
SETUP = "|setup"  # behind the name of a test, while its fixtures are made
MEMORY = 20 << 30  # bytes of address space

COMPARISONS = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
NAMES = [
    ("min", "max"),
    ("any", "all"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("floor", "ceil"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("vstack", "hstack"),
    ("log", "log2"),
    ("sum", "mean"),
    ("startswith", "endswith"),
    ("lstrip", "rstrip"),
]
SWAPPED = {one: other for pair in NAMES for one, other in (pair, pair[::-1])}


class Change(NamedTuple):
    """One way to break a line: the bytes from `start` to `end` of the file become `text`."""

    file: str
    line: int
    kind: str
    start: int
    end: int
    text: str


class _Changes:
    """All changes of a file, found on its syntax tree."""

    def __init__(self, file: str, source: str) -> None:
        self.file, self.source, self.found = file, source, []
        self._starts = [0]
        for text in source.encode().split(b"\n"):
            self._starts.append(self._starts[-1] + len(text) + 1)
        self._bytes = source.encode()
        self._body(ast.parse(source).body, names=None)

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def _segment(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self._bytes[start:end].decode()

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _add(self, node: ast.AST, kind: str, text: str, at: ast.AST | None = None) -> None:
        start, end = self._span(node)
        self.found.append(Change(self.file, (at or node).lineno, kind, start, end, text))

    def _body(self, body: list[ast.stmt], names: set[str] | None) -> None:
        """Statements in order; `names` are the local ones assigned so far, None outside of functions."""
        for place, node in enumerate(body):
            if place == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # a docstring
            self._statement(node, names)

    def _statement(self, node: ast.stmt, names: set[str] | None) -> None:
        match node:
            case (
                ast.Import()
                | ast.ImportFrom()
                | ast.Pass()
                | ast.Global()
                | ast.Nonlocal()
                | ast.Delete()
                | ast.Assert()
            ):
                return
            case ast.FunctionDef():
                if any(_is_compiled(decorator) for decorator in node.decorator_list):
                    return
                for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
                    self._expression(default)
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                self._body(node.body, {argument.arg for argument in arguments})
            case ast.ClassDef():
                if not any("Protocol" in ast.unparse(base) for base in node.bases):
                    self._body(node.body, None)
            case ast.If():
                if "TYPE_CHECKING" in ast.unparse(node.test):
                    return
                self._condition(node.test)
                self._body(node.body, names)
                self._body(node.orelse, names)
            case ast.While():
                self._expression(node.test)
                self._body([*node.body, *node.orelse], names)
            case ast.For():
                self._expression(node.iter)
                self._body([*node.body, *node.orelse], names)
            case ast.With():
                for item in node.items:
                    self._expression(item.context_expr)
                self._body(node.body, names)
            case ast.Try():
                for part in (node.body, *(handler.body for handler in node.handlers), node.orelse, node.finalbody):
                    self._body(part, names)
            case ast.Match():
                for case in node.cases:
                    self._body(case.body, names)
            case ast.Return():
                if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
                    self._add(node, "return value", "return None")
                    self._expression(node.value)
            case ast.Raise():
                self._add(node, "statement removed", "pass")
            case ast.Break():
                self._add(node, "break", "continue")
            case ast.Continue():
                self._add(node, "continue", "break")
            case ast.Expr():
                if isinstance(node.value, (ast.Yield, ast.Call)):
                    self._add(node, "statement removed", "pass")
                if not (isinstance(node.value, ast.Constant) or _is_message(node.value)):
                    self._expression(node.value)
            case ast.AugAssign():
                self._add(node, "statement removed", "pass")
                if type(node.op) in OPERATORS:
                    other = ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value)
                    self._add(node, "operator", ast.unparse(other))
                self._expression(node.value)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                written = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
                if any(name.startswith("__") or name == "_parameter_constraints" for name in written) and names is None:
                    written = {"__"}
                if node.value is None or "__" in written:
                    return
                if names is not None:
                    if (
                        all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets)
                        or written <= names
                    ):
                        self._add(node, "statement removed", "pass")
                    names |= written
                self._expression(node.value)

    def _condition(self, node: ast.expr) -> None:
        self._add(node, "condition negated", f"(not ({ast.unparse(node)}))")
        self._expression(node)

    def _expression(self, node: ast.expr | None) -> None:
        for inner in _without_messages(node):
            self._node(inner)

    def _node(self, node: ast.AST) -> None:
        match node:
            case ast.Compare(ops=[operator]):
                for other in COMPARISONS[type(operator)]:
                    self._add(node, "comparison", _text(ast.Compare(node.left, [other()], node.comparators)))
            case ast.BinOp() if type(node.op) in OPERATORS and not _of_strings_or_types(node):
                self._add(node, "operator", _text(ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)))
            case ast.UnaryOp(op=ast.Not() | ast.USub()):
                self._add(node, "sign or not dropped", _text(node.operand))
            case ast.BoolOp():
                other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
                self._add(node, "and/or", _text(ast.BoolOp(other, node.values)))
            case ast.IfExp():
                self._add(node, "branches swapped", _text(ast.IfExp(node.test, node.orelse, node.body)), at=node.test)
            case ast.Constant(value=bool()):
                self._add(node, "boolean", str(not node.value))
            case ast.Constant(value=int() | float()):
                for value in (
                    {node.value + 1, node.value - 1} if isinstance(node.value, int) else {node.value * 2 or 1.0}
                ):
                    self._add(node, "number", f"({value!r})" if value < 0 else repr(value))
            case ast.Constant(value=str()) if node.value and " " not in node.value:
                self._add(node, "string", repr(node.value + "_"))
            case ast.Subscript() if isinstance(node.slice, ast.Slice):
                for bound in filter(None, (node.slice.lower, node.slice.upper)):
                    if not isinstance(bound, ast.Constant):
                        self._add(bound, "slice bound", f"({ast.unparse(bound)}) + 1")
                    self._add(bound, "slice bound", "")
            case ast.comprehension():
                for test in node.ifs:
                    self._add(test, "condition dropped", "True")
            case ast.Call():
                self._call(node)

    def _call(self, node: ast.Call) -> None:
        name = node.func
        if isinstance(name, ast.Name) and name.id in SWAPPED:
            self._add(name, "name swapped", SWAPPED[name.id])
        elif isinstance(name, ast.Attribute) and name.attr in SWAPPED:
            self._add(name, "name swapped", f"{self._segment(name.value)}.{SWAPPED[name.attr]}")
        if len(node.args) > 1 and all(isinstance(argument, ast.Name) for argument in node.args[:2]):
            one, other = node.args[:2]
            if "self" not in (one.id, other.id) and ast.unparse(name) not in ("isinstance", "issubclass", "getattr"):
                swapped = ast.Call(name, [other, one, *node.args[2:]], node.keywords)
                self._add(node, "arguments swapped", ast.unparse(swapped), at=one)
        for keyword in node.keywords:
            if keyword.arg not in (None, "stacklevel"):
                rest = [other for other in node.keywords if other is not keyword]
                self._add(node, "keyword dropped", ast.unparse(ast.Call(name, node.args, rest)), at=keyword)


def _text(node: ast.AST) -> str:
    return f"({ast.unparse(node)})"


def _is_compiled(decorator: ast.expr) -> bool:
    return any(word in ast.unparse(decorator) for word in ("compiled", "intrinsic", "overload", "njit", "extending"))


def _is_message(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and any(
        word in ast.unparse(node.func) for word in ("warn", "logging", "logger", "cast", "TypeVar", "Error")
    )


def _of_strings_or_types(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    if any(isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", 0), str | None) for side in sides):
        return not any(isinstance(side, (ast.Attribute, ast.Subscript)) for side in sides)
    return False


def _without_messages(node: ast.AST | None) -> Iterator[ast.AST]:
    if node is None or isinstance(node, ast.JoinedStr) or _is_message(node):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _without_messages(child)


def changes(file: str, source: str) -> list[Change]:
    """All changes of a file."""
    return list(dict.fromkeys(_Changes(file, source).found))


def apply(change: Change, data: bytes) -> bytes:
    """The file with the change."""
    return data[: change.start] + change.text.encode() + data[change.end :]


def _is_program(change: Change) -> bool:
    """Whether what comes out is a program, and another one."""
    data = (ROOT / change.file).read_bytes()
    try:
        return ast.dump(ast.parse(apply(change, data))) != ast.dump(ast.parse(data))
    except SyntaxError:
        return False


def draw(n_lines: int, seed: int, only: str) -> tuple[list[Change], int]:
    """Lines at random, and for each a kind of change and a change of that kind; and how many lines there are."""
    lines = defaultdict(list)
    for path in sorted((ROOT / "skembed").rglob("*.py")):
        file = str(path.relative_to(ROOT))
        if file.startswith(only) and file != "skembed/kernels/simd.py":
            for change in changes(file, path.read_text()):
                lines[file, change.line].append(change)
    rng = random.Random(seed)
    drawn: list[Change] = []
    for line in rng.sample(sorted(lines), len(lines)):
        if len(drawn) == n_lines:
            break
        kind = rng.choice(sorted({change.kind for change in lines[line]}))
        change = rng.choice([change for change in lines[line] if change.kind == kind])
        if _is_program(change):
            drawn.append(change)
    return sorted(drawn), len(lines)


def copy_tree(work: Path) -> Path:
    """The checkout as it is now under `work`; files that are the same stay, with what was compiled of them."""
    tree = work / "tree"
    shutil.copytree(ROOT, tree, ignore=SKIPPED, dirs_exist_ok=True, copy_function=_copy_if_other)
    return tree


def _copy_if_other(source: str, target: str) -> None:
    if not Path(target).exists() or Path(source).read_bytes() != Path(target).read_bytes():
        shutil.copy2(source, target)


def measure(work: Path, tests: list[str]) -> None:
    """Run tests under coverage, each folder in a process, and keep which test executes which line."""
    tree = copy_tree(work)
    for folder in tests:
        pid = os.fork()
        if pid == 0:
            _enter(tree)
            os._exit(_measure_one(tree, folder, work / f"{folder.replace('/', '-')}.json"))
        started = time.monotonic()
        status = os.waitpid(pid, 0)[1]
        print(f"{folder}: {time.monotonic() - started:.0f} s, status {status}", flush=True)


def _enter(tree: Path) -> None:
    os.chdir(tree)
    sys.path[:] = [
        str(tree),
        *(entry for entry in sys.path if Path(entry or ".").resolve() not in (ROOT, ROOT / "tests")),
    ]
    os.environ["PYTHONPATH"] = str(tree)


def _give_up(number: int, frame: types.FrameType | None) -> None:
    inner = frame
    while inner is not None:
        if any(name in inner.f_code.co_filename for name in ("numba", "llvmlite")):  # their locks would stay taken
            signal.setitimer(signal.ITIMER_PROF, 0.5)
            return
        inner = inner.f_back
    raise TimeoutError


def _is_measured_whole(test: str) -> bool:
    return any(name in test for name in ALL_OF)


def _measure_one(tree: Path, folder: str, output: Path) -> int:
    import coverage
    import pytest

    tests: dict[str, dict] = {}
    measured = coverage.Coverage(data_file=None, source=[str(tree / "skembed")], config_file=False)

    spent: Counter = Counter()

    def add_time(name: str, started: float) -> None:
        seconds = time.process_time() - started
        tests[name]["seconds"] += seconds
        spent[name.partition("[")[0]] += seconds

    class Contexts:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_setup(self, item):
            started = time.process_time()
            fixtures = [definitions[-1] for definitions in item._fixtureinfo.name2fixturedefs.values()]
            shared = {f"{one.baseid}::{one.argname}" for one in fixtures if one.scope != "function" and one.baseid}
            tests[item.nodeid] = {"passed": True, "shared": sorted(shared), "seconds": 0.0}
            if spent[item.nodeid.partition("[")[0]] > EACH and not _is_measured_whole(item.nodeid):
                pytest.skip("its function has had its time")
            measured.switch_context(item.nodeid + SETUP)
            try:
                return (yield)
            finally:
                add_time(item.nodeid, started)

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(self, item):
            started = time.process_time()
            measured.switch_context(item.nodeid)
            signal.signal(signal.SIGPROF, _give_up)
            signal.setitimer(signal.ITIMER_PROF, LONGEST * (4 if _is_measured_whole(item.nodeid) else 1))
            try:
                return (yield)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                measured.switch_context("")
                add_time(item.nodeid, started)

        def pytest_runtest_logreport(self, report):
            tests[report.nodeid]["passed"] &= report.passed

    measured.start()
    status = pytest.main([folder, "-p", "no:cacheprovider", "-m", "not slow and not real_data"], plugins=[Contexts()])
    measured.stop()
    data = measured.get_data()
    lines = {
        str(Path(file).relative_to(tree)): {str(line): names for line, names in data.contexts_by_lineno(file).items()}
        for file in data.measured_files()
    }
    output.write_text(json.dumps({"tests": tests, "lines": lines}))
    return int(status)


@cache
def _within_functions(file: str) -> set[int]:
    functions = [node for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)]
    return {line for node in functions for line in range(node.body[0].lineno, node.end_lineno + 1)}


class Coverage:
    """Which test executes which line, as measured."""

    def __init__(self, work: Path) -> None:
        self.tests: dict[str, dict] = {}
        self.lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        contexts = []
        for path in sorted(work.glob("tests*.json")):
            found = json.loads(path.read_text())
            self.tests |= found["tests"]
            contexts += [(file, int(line), names) for file, of in found["lines"].items() for line, names in of.items()]
        for name in ON_IMPORT:  # to be run first, even if measuring gave them up: they import everything
            self.tests[name] = {"passed": True, "shared": [], "seconds": 0.0}
        shared = defaultdict(set)  # fixture of a module or session -> the tests that use it
        for name, test in self.tests.items():
            for fixture in test["shared"]:
                shared[fixture].add(name)
        for fixture in [fixture for fixture, users in shared.items() if len(users) > len(self.tests) / 2]:
            del shared[fixture]  # what surrounds all tests makes nothing for them
        for file, line, names in contexts:
            for name in filter(None, names):
                test = name.removesuffix(SETUP)  # a name may have any characters
                self.lines[file][line].add(test)
                if test != name:  # it may have made what others use
                    self.lines[file][line].update(*(shared[fixture] for fixture in self.tests[test]["shared"]))

    def covering(self, file: str, first: int, last: int) -> set[str]:
        """The tests that execute one of some lines; of lines that are executed on import, those that use the file."""
        if first not in _within_functions(file):
            return self.using(file) | ON_IMPORT
        return set().union(*(self.lines[file].get(line, ()) for line in range(first, last + 1)))

    def using(self, file: str) -> set[str]:
        """The tests that execute any line of a file."""
        return set().union(*self.lines[file].values())

    def in_order(self, names: set[str]) -> list[str]:
        """Those that passed, the fastest first, one of each function before a second of any."""
        seen: Counter = Counter()
        order = []
        for name in sorted((name for name in names if self.tests[name]["passed"]), key=self._seconds):
            function = name.partition("[")[0]
            order.append((seen[function], self._seconds(name), name))
            seen[function] += 1
        return [name for _, _, name in sorted(order)]

    def _seconds(self, name: str) -> float:
        return self.tests[name]["seconds"] + OVERHEAD

    def batches(self, names: list[str], budgets: list[float]) -> Iterator[tuple[list[str], float]]:
        """As many of the tests as fit in each budget of seconds, one after the other; and how long they took."""
        for budget in budgets:
            chosen, seconds = [], 0.0
            while names and (not chosen or seconds + self._seconds(names[0]) <= budget):
                seconds += self._seconds(names[0])
                chosen.append(names.pop(0))
            if chosen:
                yield chosen, seconds


def is_own(test: str, file: str) -> bool:
    """Whether a test lies beside others of the package that a file is in."""
    package = Path(file).parts[1].removesuffix(".py").strip("_")
    return test.startswith((f"tests/{package}/", f"tests/test_{package}.py", f"tests/test_{package}_"))


def run_tests(tree: Path, tests: list[str], seconds: float, log: Path) -> str:
    """Run tests in the copy until one fails: "passed", "failed", "timeout", or "error" where pytest found no tests."""
    limit = int(seconds)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        _enter(tree)
        import pytest

        os._exit(int(pytest.main([*tests, "-x", "--tb=line", "-p", "no:cacheprovider", "--disable-warnings"])))
    end = time.monotonic() + PATIENCE * seconds  # of a clock on the wall, for what waits
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            text = log.read_text(errors="replace")
            if code in (-signal.SIGXCPU, -signal.SIGKILL):
                return "timeout"
            lost = code == 4 and "not found:" in text and "Error" not in text.replace("ERROR", "")
            return "passed" if code == 0 else "error" if lost else "failed"
        if time.monotonic() > end:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "timeout"
        time.sleep(0.02)


def try_change(tree: Path, change: Change, coverage: Coverage, log: Path, budget: float, *, thorough: bool) -> dict:
    """Break a line in the copy, run the tests that execute it, and mend it."""
    path = tree / change.file
    data = path.read_bytes()
    stat = path.stat()
    changed = apply(change, data)
    first = data[: change.start].count(b"\n") + 1
    last = data[: change.end].count(b"\n") + 1
    covering = coverage.covering(change.file, min(first, change.line), max(last, change.line))
    own = coverage.in_order({test for test in covering if is_own(test, change.file)})
    others = coverage.in_order({test for test in covering if not is_own(test, change.file)})
    lines = [text.strip().decode() for text in (data.split(b"\n")[first - 1], changed.split(b"\n")[first - 1])]
    result = {**change._asdict(), "was": lines[0], "becomes": lines[1], "n_own": len(own), "n_others": len(others)}
    kernel_cache = log.parent / "kernels"
    try:
        path.write_bytes(changed)
        written = time.monotonic()
        if change.file.startswith("skembed/kernels/"):  # keep what is compiled beside the file
            shutil.rmtree(kernel_cache, ignore_errors=True)
            os.environ["NUMBA_CACHE_DIR"] = str(kernel_cache)
        using = own or [test for test in coverage.using(change.file) if is_own(test, change.file)]
        functions = sorted({name.partition("[")[0] for name in using if "[" in name})
        for whose, batches in (
            ("own", coverage.batches(own, [budget / 12, budget])),
            ("others", coverage.batches(others, [budget / 2])),
            ("own", [(functions, budget)] if functions and thorough else []),
        ):
            for chosen, seconds in batches:
                outcome = run_tests(tree, chosen, GRACE + 3 * seconds, log)
                if outcome == "error" or (chosen is functions and outcome == "timeout"):
                    continue  # names of tests have changed, too; or there are many
                if outcome != "passed":
                    failed = [
                        text
                        for text in log.read_text(errors="replace").splitlines()
                        if text[:6] in ("FAILED", "ERROR ")
                    ]
                    return {**result, "outcome": outcome, "by": whose, "failed": failed[:1]}
        return {**result, "outcome": "survived", "by": None, "failed": []}
    finally:
        os.environ.pop("NUMBA_CACHE_DIR", None)
        time.sleep(max(1.0 - (time.monotonic() - written), 0.0))  # bytecode is told apart by the second and the size
        path.write_bytes(data)
        os.utime(path, (stat.st_atime, stat.st_mtime))


def known_equivalents() -> dict[tuple[str, str, str], str]:
    """Changes that alter nothing that could be tested, and why, from the file beside this one; "*" is any of a line."""
    path = Path(__file__).with_suffix(".toml")
    entries = tomllib.loads(path.read_text())["equivalent"] if path.exists() else []
    return {(entry["file"], entry["was"], entry["becomes"]): entry["why"] for entry in entries}


def summarise(results: list[dict], n_lines: int) -> str:
    """Counts by package, then what was not noticed."""
    equivalents = known_equivalents()
    counts: dict[str, Counter] = defaultdict(Counter)
    left = []
    for result in results:
        package = Path(result["file"]).parts[1]
        what = f"by {result['by']}" if result["outcome"] in ("failed", "timeout") else result["outcome"]
        changed = {(result["file"], result["was"], becomes) for becomes in (result["becomes"], "*")}
        if what == "survived" and changed & equivalents.keys():
            what = "equivalent"
        elif what in ("survived", "error"):
            left.append(result)
        counts[package][what] += 1
        counts["all"][what] += 1
    columns = ["by own", "by others", "survived", "equivalent", "error"]
    rows = [f"{n_lines} lines to draw from", f"{'':14}{'drawn':>8}" + "".join(f"{column:>12}" for column in columns)]
    for package in sorted(counts, key=lambda package: (package == "all", package)):
        of = counts[package]
        rows.append(f"{package:14}{of.total():>8}" + "".join(f"{of[column]:>12}" for column in columns))
    total = counts["all"]
    noticed = total["by own"] + total["by others"]
    rows.append(
        f"noticed: {noticed} of {total.total() - total['equivalent']}; timeouts among them: "
        f"{sum(result['outcome'] == 'timeout' for result in results)}"
    )
    rows += [
        f"{result['outcome']}: {result['file']}:{result['line']} {result['kind']} ({result['n_own']} own tests, "
        f"{result['n_others']} others)\n    - {result['was']}\n    + {result['becomes']}"
        for result in left
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path(gettempdir()) / "skembed-mutation", help="folder of the copy")
    parser.add_argument(
        "--measure", nargs="*", metavar="TESTS", help="measure coverage, of these folders or files alone"
    )
    parser.add_argument("--lines", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="skembed", metavar="PATH", help="draw from files whose path begins like this")
    parser.add_argument(
        "--part", nargs="*", default=[""], metavar="PATH", help="of what is drawn, try these files alone"
    )
    parser.add_argument("--at", action="append", default=[], metavar="FILE:LINE")
    parser.add_argument("--again", action="store_true", help="try again, with more tests, what was not noticed before")
    parser.add_argument("--budget", type=float, default=30, help="seconds of tests of its own package for each line")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.measure is not None:
        entries = sorted(path for path in (ROOT / "tests").iterdir() if path.is_dir() or path.name.startswith("test_"))
        measure(arguments.work, arguments.measure or [str(path.relative_to(ROOT)) for path in entries])
    drawn, n_lines = draw(arguments.lines, arguments.seed, arguments.only)
    output = arguments.work / f"results-{arguments.lines}-{arguments.seed}.jsonl"
    if arguments.at:
        output = arguments.work / "results-at.jsonl"
        output.unlink(missing_ok=True)
    for at in arguments.at:
        file, line = at.rsplit(":", 1)
        found = changes(file, (ROOT / file).read_text())
        drawn += [change for change in found if change.line == int(line) and _is_program(change)]
    if not drawn:
        return
    tree = copy_tree(arguments.work)
    coverage = Coverage(arguments.work)
    for name in ("hypothesis", "joblib", "numba", "pandas", "pytest", "scipy.stats", "sklearn.utils.estimator_checks"):
        importlib.import_module(name)  # once for all forks
    importlib.import_module("torch")
    gc.collect()
    gc.freeze()  # else a collection in a fork would copy all of that
    before = [json.loads(text) for text in output.read_text().splitlines()] if output.exists() else []
    results = {Change(*(result[name] for name in Change._fields)): result for result in before}
    log = arguments.work / "log.txt"
    for change in random.Random(arguments.seed).sample(drawn, len(drawn)):
        done = change in results and (results[change]["by"] or not arguments.again)
        if done or not change.file.startswith(tuple(arguments.part)):
            continue
        started = time.monotonic()
        result = try_change(tree, change, coverage, log, arguments.budget, thorough=arguments.again)
        results[change] = {**result, "seconds": time.monotonic() - started}
        with output.open("w") as file:
            file.writelines(json.dumps(results[change]) + "\n" for change in drawn if change in results)
        print(f"{result['outcome']:9}{result['by'] or '':7}{change.file}:{change.line}", flush=True)
    print(summarise([results[change] for change in drawn if change in results], n_lines))


if __name__ == "__main__":
    main()
