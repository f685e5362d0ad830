"""The comparison as text for the terminal."""

import shutil
import textwrap

from skembed.compare._advice import advise, best_row, gains_by_learner
from skembed.compare._evaluate import METRICS, takes_groups


def describe(problem):
    """What is compared on: rows, target, and what became of each column."""
    task = problem.task
    if task == "multiclass":
        task = f"{len(set(problem.y.tolist())):,} classes"
    lines = [f'{problem.source}: {len(problem.y):,} rows, to predict "{problem.target}" ({task})']
    for kind, columns in (("categorical", problem.categorical), ("numeric", problem.numeric)):
        if columns:
            lines += _wrap(f"treated as {kind}: " + ", ".join(problem.name_of(c) for c in columns))
    if problem.left_out:
        lines += _wrap("left out: " + "; ".join(f"{c} ({why})" for c, why in problem.left_out.items()))
    for note in problem.notes:
        lines += _wrap(note)
    return "\n".join(lines)


def _wrap(text):
    width = max(40, min(110, shutil.get_terminal_size((110, 24)).columns))
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def conclude(problem, rows, snippet):
    """The table, what entity vectors gain with each learner, the advice, and how to take the best pipeline."""
    metric = METRICS[problem.task]
    parts = [format_table(rows, metric)]
    gains = [
        f"  {g.a.learner}: {g.mean:+.4f} over {g.b.encoder}, ahead in {g.n_ahead} of {g.n_folds} folds"
        for g in gains_by_learner(rows)
    ]
    if gains:
        parts.append("entity gains, same learner:\n" + "\n".join(gains))
    parts.append(advise(rows, metric))
    parts.append("To take the best pipeline:\n\n" + textwrap.indent(snippet, "    "))
    return "\n" + "\n\n".join(parts)


def make_snippet(problem, rows, path, options, seed):
    """Python that makes the best pipeline.

    Parameters
    ----------
    problem : ComparisonProblem
    rows : list of Row
    path : str or None
        None: the characters of Unicode.
    options : dict
        Keyword arguments of `read_problem` or `unicode_problem` that are not their defaults.
    seed : int
    """
    best = best_row(rows)
    reader = "unicode_problem" if path is None else "read_problem"
    given = [] if path is None else [repr(str(path)), repr(problem.target)]
    given += [f"{name}={value!r}" for name, value in options.items()]
    call = f'"{best.encoder}", "{best.learner}", problem' + (f", random_state={seed}" if seed else "")
    lines = [f"from skembed.compare import pipeline, {reader}\n", _call(f"problem = {reader}", given)]
    lines.append(f"model = pipeline({call})  # an ordinary scikit-learn Pipeline")
    if takes_groups(problem, encoder=best.encoder, learner=best.learner):
        lines = [
            "import sklearn\n",
            *lines,
            "sklearn.set_config(enable_metadata_routing=True)  # groups reach its steps",
        ]
        return "\n".join([*lines, "model.fit(problem.X, problem.y, groups=problem.groups)"])
    return "\n".join([*lines, "model.fit(problem.X, problem.y)"])


def _call(function, arguments):
    """A call on one line, or with an argument a line where that is long."""
    line = f"{function}({', '.join(arguments)})"
    return line if len(line) <= 80 else f"{function}(\n    " + ",\n    ".join(arguments) + ",\n)"


def format_table(rows, metric):
    """The table as text, one line per row; the best is marked with ``*``."""
    best = best_row(rows)
    header = ["", "learner", "encoder", metric, "", "columns", "fit s", "transform s", "matrix"]
    lines = [header]
    for row in rows:
        mark = "*" if row is best else ""
        if not row.scores:
            lines.append([mark, row.learner, row.encoder, "-", f"  {row.skipped}"])
            continue
        lines.append(
            [
                mark,
                row.learner,
                row.encoder,
                f"{row.mean:.4f}",
                f"\u00b1 {row.spread:.4f}",
                f"{row.encoding.n_columns:,}",
                format_seconds(row.fit_seconds),
                format_seconds(row.transform_seconds),
                format_bytes(row.encoding.n_bytes),
            ]
        )
    full = [line for line in lines if len(line) == len(header)]
    widths = [max(len(line[j]) for line in full) for j in range(len(header))]
    widths[1:3] = [max(len(line[j]) for line in lines) for j in (1, 2)]
    out: list[str] = []
    previous = ""
    for line in lines:
        if out and line[1] == previous:
            line = [line[0], "", *line[2:]]  # a learner is named once
        else:
            previous = line[1]
        cells = [c.ljust(w) if j in (0, 1, 2, 4) else c.rjust(w) for j, (c, w) in enumerate(zip(line, widths))]
        out.append("  ".join(cells).rstrip())
    return "\n".join(out)


def format_seconds(seconds):
    return f"{seconds:.3f}" if seconds < 0.1 else f"{seconds:.2f}" if seconds < 10 else f"{seconds:,.0f}"


def format_bytes(n_bytes):
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" or n_bytes >= 100 else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"
