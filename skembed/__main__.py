"""Command line of ``python -m skembed``: encoders of categories compared on your own data."""

import argparse
import os
import signal
import sys
import warnings


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message):
        self.exit(2, f"skembed: error: {message} (see python -m skembed --help)\n")


class _Interrupt:
    """Ctrl-C that is not forgotten: an encoder may catch it to stop early, and the next step then ends the run."""

    def __init__(self):
        self.came = False

    def __call__(self, signum, frame):
        self.came = True
        raise KeyboardInterrupt

    def check(self):
        if self.came:
            raise KeyboardInterrupt


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None: those of the process.

    Returns
    -------
    status : int
        0; 2 after an error of the user's, told in one line on stderr; 130 after Ctrl-C.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help", "--version")):
        argv.insert(0, "compare")
    interrupt = _Interrupt()
    try:
        before = signal.signal(signal.SIGINT, interrupt)
    except ValueError:  # not the main thread
        before = None
    try:
        arguments = _parser().parse_args(argv)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of learners that would like more iterations: the scores show
            from skembed.compare.command_line import run

            return run(arguments, check_interrupt=interrupt.check)
    except SystemExit as stop:  # of the arguments
        return stop.code
    except KeyboardInterrupt:
        # An interrupt that came while code of a string ran, as imports do, has told Python to end a module by the
        # signal itself, with another status; running such code once more takes that back.
        exec("pass")
        print("\nskembed: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _parser():
    from skembed import __version__

    parser = _Parser(
        prog="python -m skembed", description="Compare encoders of categories on your own data.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"skembed {__version__}")
    commands = parser.add_subparsers(dest="command", parser_class=_Parser, required=True)
    compare = commands.add_parser(
        "compare",
        allow_abbrev=False,
        help="compare encoders of categories on a table (the default)",
        description="Cross-validate pipelines that differ in the encoder of the categories, and say whether entity "
        "vectors are worth it. Without FILE: on the characters of Unicode.",
    )
    add = compare.add_argument
    add("file", nargs="?", metavar="FILE", help="csv, tsv (also gz, bz2, xz, zip) or parquet")
    add("--target", metavar="COLUMN", help="the column to predict")
    add("--task", choices=("auto", "regression", "classification"), default="auto")
    add("--drop", type=_names, default=(), metavar="COLS", help="columns to leave out, separated by commas")
    add("--categorical", type=_names, default=(), metavar="COLS", help="columns that are categories")
    add("--numeric", type=_names, default=(), metavar="COLS", help="columns that are numbers")
    add("--group", metavar="COLUMN", help="folds keep its rows of one value together, as all of a customer")
    headers = compare.add_mutually_exclusive_group()
    headers.add_argument(
        "--no-header", dest="header_rows", action="store_const", const=0, default=1, help="no line of names"
    )
    headers.add_argument("--header-rows", type=int, choices=(0, 1, 2), default=1, help="lines of names (default 1)")
    add("--max-rows", type=_whole(0), metavar="N", help="sample more rows than this (default 50000; 0: never)")
    add("--encoders", type=_names, default=["onehot", "target", "entity"], metavar="LIST", help="also: ordinal")
    add("--learner", type=_names, default=["auto"], metavar="LIST", help="auto, or of linear, knn, hgb")
    add("--cv", type=_whole(2, 50), default=5, metavar="K", help="number of folds (default 5)")
    add("--seed", type=_whole(0, 2**32 - 1), default=0, metavar="N")
    add("--html", metavar="FILE", help="write a report")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


def _names(text):
    """Names separated by commas; a name that holds a comma stands in double quotes."""
    import csv

    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), []) if name.strip()]


def _whole(low, high=None):
    def read(text):
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low or (high is not None and number > high):
            bounds = f"at least {low}" if high is None else f"from {low} to {high}"
            raise argparse.ArgumentTypeError(f"expected a whole number {bounds}, got {text!r}")
        return number

    return read


if __name__ == "__main__":
    sys.exit(main())
