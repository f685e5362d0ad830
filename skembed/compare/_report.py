"""The comparison as one self-contained HTML page: no script, no font, nothing fetched."""

from html import escape

from skembed.compare._advice import Gain, advise, best_row, gains_by_learner
from skembed.compare._evaluate import METRICS
from skembed.compare._picture import ENCODER_COLOURS, level_picture, score_chart
from skembed.compare._text import format_bytes, format_seconds

_STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf8; --card: #fff; --ink: #22252b; --faint: #6d737d; --line: #e4e2dd;
  --good: #1f8a5b; --bad: #b4562d; --even: #8a6d1f; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171b; --card: #1d2026; --ink: #e8e8e6; --faint: #9aa1ac;
  --line: #333842; --good: #4fc38d; --bad: #e8895f; --even: #d9b44a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 36px 20px 60px; }
h1 { font-size: 23px; line-height: 1.25; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 12px; overflow-wrap: anywhere; }
p { margin: 0 0 10px; overflow-wrap: anywhere; }
.sub, .faint { color: var(--faint); } .after { margin-top: 12px; font-size: 14px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px 22px;
  margin-top: 18px; }
.advice { border-left: 5px solid var(--even); font-size: 18px; line-height: 1.45; }
.advice.good { border-left-color: var(--good); } .advice.bad { border-left-color: var(--bad); }
.advice b { color: var(--even); } .advice.good b { color: var(--good); } .advice.bad b { color: var(--bad); }
.advice p:last-child, section p:last-child { margin-bottom: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th { text-align: left; color: var(--faint); font-weight: 500; white-space: nowrap; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); vertical-align: baseline; }
tbody tr:last-child td { border-bottom: 0; } td.n, th.n { text-align: right; } td.n, th.n, td.k { white-space: nowrap; }
tr.first td { border-top: 2px solid var(--line); } tr.best td { font-weight: 650; }
.key { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 8px; }
svg { display: block; width: 100%; height: auto; font-size: 13px; } svg text { fill: var(--ink); }
svg .faint { fill: var(--faint); font-size: 12px; } svg .strong { font-weight: 650; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .ring { stroke: var(--card); stroke-width: 1.5; }
svg .points circle { fill-opacity: .8; stroke: var(--card); stroke-width: .6; }
svg .points circle:hover { fill-opacity: 1; stroke: var(--ink); stroke-width: 1.5; }
svg .labels { font-size: 11px; pointer-events: none; } svg .legend { font-size: 12px; }
svg .labels text { paint-order: stroke; stroke: var(--card); stroke-width: 3px; stroke-linejoin: round; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 13px/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
dl { margin: 0; display: grid; grid-template-columns: max-content 1fr; gap: 6px 18px; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 600px) { main { padding: 20px 10px; } section { padding: 16px 12px; }
  dl { grid-template-columns: 1fr; } .wide svg { width: 680px; } }
"""


def make_report(problem, rows, *, cv=5, level_map=None, snippet=""):
    """Write the page.

    Parameters
    ----------
    problem : ComparisonProblem
    rows : list of Row
    cv : int
    level_map : LevelMap or None
    snippet : str
        Python that takes the best pipeline.

    Returns
    -------
    html : str
    """
    metric = METRICS[problem.task]
    title = f"Are entity embeddings worth it on {problem.source}?"
    sections = [
        _advice_section(rows, metric),
        f'<section><h2>Scores</h2><div class="wide">{score_chart(rows, metric)}</div>{_chart_caption(cv)}</section>',
        f'<section><h2>What it costs</h2><div class="wide">{_table(rows, metric)}</div></section>',
    ]
    if level_map is not None:
        sections.append(_map_section(level_map))
    sections.append(f"<section><h2>Data</h2>{_data_list(problem)}</section>")
    if snippet:
        sections.append(f"<section><h2>Take the best pipeline</h2><pre>{escape(snippet)}</pre></section>")
    kind = {"regression": "a number", "binary": "one of two classes"}.get(problem.task)
    kind = kind or f"one of {len(set(problem.y.tolist())):,} classes"
    sub = f"{len(problem.y):,} rows; to predict: {problem.target}, {kind}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>"
        f'<header><h1>{escape(title)}</h1><p class="sub">{escape(sub)}</p></header>\n'
        + "\n".join(sections)
        + "\n</main></body></html>\n"
    )


def _advice_section(rows, metric):
    advice = advise(rows, metric)
    verdict, colon, rest = advice.partition(": ")
    tone = {"Worth it": " good", "Not worth it": " bad"}.get(verdict, "")
    sentence = f"<b>{escape(verdict)}:</b> {escape(rest)}" if colon else escape(advice)
    return f'<section class="advice{tone}"><p>{sentence}</p></section>'


def _chart_caption(cv):
    return (
        f'<p class="faint after">Large points: mean over {cv} folds; bars: one standard deviation; small points: '
        "folds. All pipelines saw the same folds.</p>"
    )


def _table(rows, metric):
    head = ["learner", "encoder", metric, "columns", "fit", "transform", "matrix", "gain"]
    gains = {id(gain.a): gain for gain in gains_by_learner(rows)}
    lines: list[str] = []
    best, previous = best_row(rows), None
    for row in rows:
        first = row.learner != previous
        classes = " ".join(name for name, on in (("first", first and lines), ("best", row is best)) if on)
        previous = row.learner
        key = f'<span class="key" style="background:{ENCODER_COLOURS.get(row.encoder, "#888")}"></span>'
        cells = [f'<td>{escape(row.learner) if first else ""}</td><td class="k">{key}{escape(row.encoder)}</td>']
        if row.scores:
            values = [
                f"{row.mean:.4f} \u00b1 {row.spread:.4f}",
                f"{row.encoding.n_columns:,}",
                f"{format_seconds(row.fit_seconds)} s",
                f"{format_seconds(row.transform_seconds)} s",
                format_bytes(row.encoding.n_bytes),
                _gain_text(gains.get(id(row))),
            ]
            cells += [f'<td class="n">{value}</td>' for value in values]
        else:
            cells.append(f'<td colspan="6" class="faint">\u2013 {escape(row.skipped)}</td>')
        lines.append(f'<tr class="{classes}">{"".join(cells)}</tr>')
    heads = "".join(f'<th class="n">{escape(h)}</th>' if j > 1 else f"<th>{h}</th>" for j, h in enumerate(head))
    note = (
        '<p class="faint after">Fit: encoder and learner on the training rows of a fold. '
        "Transform: the encoder on its test rows. Gain: of entity vectors over the best other encoder with the same "
        "learner, and in how many folds they are ahead.</p>"
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>{note}"


def _gain_text(gain: Gain | None):
    return "" if gain is None else f"{gain.mean:+.4f} ({gain.n_ahead} of {gain.n_folds})"


def _map_section(level_map):
    picture, stretch = level_picture(level_map)
    axes = f" The upright axis is drawn {stretch:.1f} times as large." if stretch > 1.05 else ""
    more = f" {level_map.n_left_out:,} rarer levels are not drawn." if level_map.n_left_out else ""
    caption = (
        "Each point is a level of the column; levels that are near each other are alike for the target. Size: rows. "
        f"The plane shows {100 * level_map.shown_share:.0f} % of the spread of the vectors (principal components)."
        f"{axes}{more} Point at a level to read it."
    )
    return (
        f'<section><h2>Map of {escape(level_map.column)}</h2><div class="wide">{picture}</div>'
        f'<p class="faint after">{escape(caption)}</p></section>'
    )


def _data_list(problem):
    kinds = (("categorical", problem.categorical), ("numeric", problem.numeric))
    entries = [(kind, ", ".join(problem.name_of(c) for c in columns)) for kind, columns in kinds if columns]
    if problem.left_out:
        entries.append(("left out", "; ".join(f"{c} ({why})" for c, why in problem.left_out.items())))
    entries += [("note", note) for note in problem.notes]
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entries) + "</dl>"
