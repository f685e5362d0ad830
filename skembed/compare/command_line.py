"""The steps of ``python -m skembed compare``, from arguments to the last line."""

import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path

from skembed.compare._evaluate import ENCODERS, LEARNERS, evaluate
from skembed.compare._map import map_levels
from skembed.compare._problem import MIN_CHARACTERS, read_problem, unicode_problem
from skembed.compare._read import InputError
from skembed.compare._report import make_report
from skembed.compare._text import conclude, describe, make_snippet
from skembed.inspection.html import write_page

_OWN_DATA = "On your own data:  python -m skembed compare FILE --target COLUMN --html report.html"
_OF_A_FILE = ("target", "task", "drop", "categorical", "numeric", "group", "header_rows")  # arguments that need a FILE


def run(arguments, *, check_interrupt=lambda: None):
    """Read, compare, print, and write the report.

    Parameters
    ----------
    arguments : argparse.Namespace
        See `skembed.__main__`.
    check_interrupt : callable
        Called before each step; may raise KeyboardInterrupt.

    Returns
    -------
    status : int
        0, or 2 after an InputError, which is printed as one line on stderr.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a name that the terminal cannot show is no reason to stop
    try:
        _run(arguments, check_interrupt)
    except InputError as error:
        print(f"skembed: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _run(arguments, check_interrupt):
    encoders = _choices("--encoders", arguments.encoders, ENCODERS)
    learners = "auto" if arguments.learner == ["auto"] else _choices("--learner", arguments.learner, LEARNERS)
    if arguments.html:
        _check_writable(Path(arguments.html), arguments.file)
    problem, options = _make_problem(arguments)
    _say(describe(problem))
    n_learners = len(LEARNERS if learners == "auto" else learners)
    with _progress(arguments.cv * len(encoders) * (1 + n_learners), arguments.quiet) as advance:

        def progress(what):
            check_interrupt()
            advance(what)

        rows = evaluate(
            problem,
            encoders=encoders,
            learners=learners,
            cv=arguments.cv,
            random_state=arguments.seed,
            progress=progress,
        )
    check_interrupt()
    snippet = make_snippet(problem, rows, arguments.file, options, arguments.seed)
    _say(conclude(problem, rows, snippet))
    if arguments.html:
        _report(arguments, problem, rows, snippet, check_interrupt)
    if arguments.file is None:
        _say(f"\n{_OWN_DATA}")


def _say(text):
    """Print at once; that a disk is full, a person is told in a line."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # nobody reads any more
        raise
    except OSError as error:
        raise InputError(f"the output cannot be written: {error.strerror or error}.") from None


def _choices(option, asked, known):
    for name in asked:
        if name not in known:
            raise InputError(f'{option}: "{name}" is unknown; choose from {", ".join(known)}.')
    if not asked:
        raise InputError(f"{option}: nothing is named; choose from {', '.join(known)}.")
    return list(dict.fromkeys(asked))


def _check_writable(path, file):
    """Before the work of minutes, not after."""
    if file is not None and os.path.realpath(path) == os.path.realpath(file):
        raise InputError(f"--html: {path} is the file that is read, which the report would replace: give another name.")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except OSError as error:  # too long a name, a folder that may not be looked into
        raise InputError(f"--html: {path} cannot be written: {error.strerror or error}.") from None
    if mode is not None and not stat.S_ISREG(mode):
        kind = "directory" if stat.S_ISDIR(mode) else "device"
        raise InputError(f"--html: {path} is a {kind}: give the name of a file.")
    if not path.parent.is_dir():
        raise InputError(f"--html: the folder {path.parent} does not exist.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"--html: the folder {path.parent} cannot be written to.")


def _make_problem(arguments):
    """The problem, and the arguments that made it where they are not defaults, for the snippet."""
    given = {name: getattr(arguments, name) for name in _OF_A_FILE}
    options = {name: value for name, value in given.items() if value not in (None, (), [], "auto")}
    if options["header_rows"] == 1:
        del options["header_rows"]
    if arguments.max_rows is not None:
        options["max_rows"] = arguments.max_rows or None
    if arguments.seed:
        options["random_state"] = arguments.seed
    if arguments.file is None:
        for name in _OF_A_FILE:
            if name in options:
                option = "--" + name.replace("_", "-")
                raise InputError(f"{option} needs a FILE: python -m skembed compare FILE --target COLUMN.")
        if arguments.cv > MIN_CHARACTERS:  # classes of fewer are left out in any case
            options["cv"] = arguments.cv
        return unicode_problem(**options), options
    if arguments.cv != 5:
        options["cv"] = arguments.cv
    problem = read_problem(arguments.file, options.pop("target", None), **options)
    if problem.task == "regression":
        options.pop("cv", None)  # it only says which classes are too rare
    return problem, options


@contextmanager
def _progress(n_steps, quiet):
    """A bar on stderr where somebody watches."""
    if quiet or not sys.stderr.isatty():
        yield lambda what: None
        return
    from tqdm import tqdm

    with tqdm(total=n_steps, leave=False, file=sys.stderr, unit="step", dynamic_ncols=True) as bar:

        def advance(what):
            bar.set_description(what, refresh=False)
            bar.update()

        yield advance


def _report(arguments, problem, rows, snippet, check_interrupt):
    level_map = None
    if any(row.encoder == "entity" and row.scores for row in rows):
        level_map = map_levels(problem, random_state=arguments.seed)
        check_interrupt()
    page = make_report(problem, rows, cv=arguments.cv, level_map=level_map, snippet=snippet)
    try:
        write_page(arguments.html, page)
    except OSError as error:
        raise InputError(f"--html: {arguments.html} cannot be written: {error.strerror or error}.") from None
    _say(f"\nReport: {arguments.html}")
