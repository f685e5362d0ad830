"""SequenceEmbedder beside back-off Markov chains and gradient boosting: the next event of a case.

    python benchmarks/sequences.py helpdesk bpi_12_w > benchmarks/results/sequences.txt
    python benchmarks/sequences.py --made-up >> benchmarks/results/sequences.txt
    python benchmarks/sequences.py --padding >> benchmarks/results/sequences.txt

Two event logs (Tax et al. 2017). Cases in the order of the file, the first two thirds train; what is predicted is the
next activity after each beginning of two events or more, with the end of a case as an activity and without it. One fit
a seed serves both. Targets: the best chain of order 1 to 3 (helpdesk .7265 without the end and .8132 with it, BPI-12W
.7895 and .6907) by .01 on BPI-12W, and not more than .005 below on helpdesk; a fit in at most 60 s on two cores.
Gradient boosting has the last four events, the gaps before them, the time since the first event, the time of day and
the day of the week. "Pipeline" is SequenceEmbedder trained against the next activity of each beginning, and logistic
regression behind. Seconds are those of all processors together. --made-up: logs of other kinds, in which the last
events say it all or next to nothing, and what the net alone (n_previous=0) is worth there. --padding: a pass over
batches by length, packed, beside one over batches at random padded to the longest case of all, in turns.
"""

import argparse
import gzip
import re
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from runs import describe
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skembed import SequenceEmbedder
from skembed.sequence import to_sequences

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "sequence"
LOGS = ("helpdesk", "bpi_12_w")
END = -1
N_LAST = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="*", help=" or ".join(LOGS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pipelines", type=int, default=1, help="seeds of the Pipeline")
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--made-up", action="store_true")
    parser.add_argument("--padding", action="store_true")
    options = parser.parse_args()
    print(describe("numpy", "scikit-learn", "torch", "numba"), flush=True)
    for name in options.logs:
        compare(name, options)
    if options.made_up:
        made_up(options.seeds)
    if options.padding:
        padding()


def read(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    log = pd.read_csv(DATA / f"{name}.csv.gz", parse_dates=["CompleteTimestamp"])
    cases = log["CaseID"].drop_duplicates()
    train = log["CaseID"].isin(cases[: int(len(cases) * 2 / 3)])
    return log[train], log[~train]


def rows_of(log: pd.DataFrame, **options: Any) -> Any:
    return to_sequences(log, by="CaseID", order="CompleteTimestamp", **options)


def compare(name: str, options: argparse.Namespace) -> None:
    train, test = read(name)
    tests = {end: rows_of(test, prefixes=2, next_of="ActivityID", end=end) for end in (None, END)}
    sizes = ", ".join(f"{len(tests[end].y)} {label} the end" for end, label in ((None, "without"), (END, "with")))
    print(f"{name}: {train['CaseID'].nunique()} cases to learn from; to predict {sizes}", flush=True)
    for order in (1, 2, 3):
        show(name, f"chain of order {order}", [chain(train, tests[end], end, order) for end in (None, END)])
    show(name, "gradient boosting", *zip(*[boosting(train, tests[end], end) for end in (None, END)]))
    scores, seconds = [], []
    for seed in range(options.seeds):
        started = time.process_time()
        embedder = SequenceEmbedder(cell=options.cell, random_state=seed).fit(rows_of(train).X)
        seconds.append(time.process_time() - started)
        scores.append([accuracy(embedder, tests[end], end) for end in (None, END)])
        show(name, f"SequenceEmbedder, seed {seed}, {embedder.n_iter_} passes", scores[-1], seconds[-1:])
    if scores:
        show(name, "SequenceEmbedder, mean", np.mean(scores, axis=0), seconds)
    for seed in range(options.pipelines):
        show(name, f"Pipeline, seed {seed}", *zip(*[pipeline(train, tests[end], end, seed) for end in (None, END)]))


def show(name: str, method: str, scores: Any, seconds: Any = ()) -> None:
    spent = f"; {'/'.join(f'{s:.0f}' for s in seconds)} s" if len(seconds) else ""
    print(f"{name}, {method}: without the end {scores[0]:.4f}, with it {scores[1]:.4f}{spent}", flush=True)


def accuracy(embedder: SequenceEmbedder, cases: Any, end: int | None) -> float:
    keys, _ = embedder.predict_next(cases.X, 1, end=end is not None)
    found = [END if key == embedder.end else key for key in keys[:, 0]]
    return float(np.mean(np.array(found) == cases.y))


def pipeline(train: pd.DataFrame, cases: Any, end: int | None, seed: int) -> tuple[float, float]:
    started = time.process_time()
    learned = rows_of(train, prefixes=1, next_of="ActivityID", end=end)
    model = make_pipeline(SequenceEmbedder(random_state=seed), LogisticRegression(max_iter=1000))
    model.fit(learned.X, learned.y)
    seconds = time.process_time() - started
    return float(model.score(cases.X, cases.y)), seconds


def chain(train: pd.DataFrame, cases: Any, end: int | None, order: int) -> float:
    """The share of right predictions of the longest context that was seen, of up to `order` events."""
    counts: list[dict] = [defaultdict(Counter) for _ in range(order + 1)]
    learned = rows_of(train, prefixes=1, next_of="ActivityID", end=end)
    for events, following in zip(learned.X["ActivityID"], learned.y):
        for n in range(min(order, len(events)) + 1):
            counts[n][tuple(events[len(events) - n :])][following] += 1
    right = 0
    for events, following in zip(cases.X["ActivityID"], cases.y):
        n = next(n for n in range(min(order, len(events)), -1, -1) if tuple(events[len(events) - n :]) in counts[n])
        right += counts[n][tuple(events[len(events) - n :])].most_common(1)[0][0] == following
    return right / len(cases.y)


def boosting(train: pd.DataFrame, cases: Any, end: int | None) -> tuple[float, float]:
    learned = rows_of(train, prefixes=1, next_of="ActivityID", end=end)
    started = time.process_time()
    model = HistGradientBoostingClassifier(
        max_iter=400, learning_rate=0.03, categorical_features=list(range(N_LAST)), random_state=0
    ).fit(last_events(learned.X), learned.y)
    return float(model.score(last_events(cases.X), cases.y)), time.process_time() - started


def last_events(X: pd.DataFrame) -> np.ndarray:
    rows = []
    for events, times in zip(X["ActivityID"], X["CompleteTimestamp"]):
        seconds = times.astype("datetime64[s]").astype(np.int64)
        gaps = np.log1p(np.diff(seconds))[::-1][:N_LAST]
        now = seconds[-1]
        rows.append(
            [
                *events[::-1][:N_LAST], *[np.nan] * max(N_LAST - len(events), 0),
                *gaps, *[np.nan] * (N_LAST - len(gaps)),
                np.log1p(now - seconds[0]), now % 86_400, now // 86_400 % 7,
            ]
        )  # fmt: skip
    return np.array(rows, dtype=np.float64)


def log_of(cases: list[list[int]], seconds: list[np.ndarray] | None = None) -> pd.DataFrame:
    """A long table of cases; without times of their own events come an hour apart in the mean."""
    rng = np.random.default_rng(0)
    tables = []
    for i, events in enumerate(cases):
        gaps = rng.exponential(3600, len(events)) if seconds is None else seconds[i]
        begin = np.datetime64("2024-01-01") + int(rng.integers(200 * 86_400)) * np.timedelta64(1, "s")
        times = begin + np.cumsum(gaps).astype("timedelta64[s]")
        tables.append(pd.DataFrame({"CaseID": i, "ActivityID": events, "CompleteTimestamp": times}))
    return pd.concat(tables, ignore_index=True)


def last_events_decide(n: int, n_activities: int, order: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    follows = rng.dirichlet(np.full(n_activities, 0.25), size=n_activities**order)
    cases = []
    for _ in range(n):
        events = rng.integers(n_activities, size=order).tolist()
        while rng.random() > 0.1 and len(events) < 60:
            context = sum(e * n_activities**i for i, e in enumerate(events[-order:]))
            events.append(int(rng.choice(n_activities, p=follows[context])))
        cases.append(events)
    return log_of(cases)


def many_activities() -> pd.DataFrame:
    """200 activities of very different frequency, five that usually follow each."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, 201)
    usual = [rng.permutation(200)[:5] for _ in range(200)]
    cases = []
    for _ in range(1500):
        events = [int(rng.choice(200, p=frequency / frequency.sum()))]
        for _ in range(rng.integers(3, 20)):
            if rng.random() < 0.7:
                events.append(int(usual[events[-1]][rng.choice(5, p=[0.5, 0.2, 0.1, 0.1, 0.1])]))
            else:
                events.append(int(rng.choice(200, p=frequency / frequency.sum())))
        cases.append(events)
    return log_of(cases)


def as_often_again() -> pd.DataFrame:
    """One activity two to six times, another, then the first as often again."""
    rng = np.random.default_rng(0)
    return log_of([[0, *[1] * k, 2, *[1] * k, 3] for k in rng.integers(2, 7, 1500)])


def kinds_of_cases() -> pd.DataFrame:
    """Four kinds of cases, each with a chain of its own; nobody says which a case is of."""
    rng = np.random.default_rng(0)
    follows = rng.dirichlet(np.full(8, 0.2), size=(4, 8))
    cases = []
    for kind in rng.integers(4, size=1500):
        events = [int(rng.integers(8))]
        for _ in range(rng.integers(5, 30)):
            events.append(int(rng.choice(8, p=follows[kind, events[-1]])))
        cases.append(events)
    return log_of(cases)


def gaps_decide() -> pd.DataFrame:
    """Which of two activities follows is told by how long it took."""
    rng = np.random.default_rng(0)
    cases, seconds = [], []
    for n in rng.integers(3, 12, 1500):
        is_long = rng.random(n) < 0.5
        cases.append([0, *np.stack([np.ones(n, int), np.where(is_long, 2, 3)], axis=1).ravel().tolist()])
        gaps = np.stack([rng.exponential(np.where(is_long, 1e5, 600)), rng.exponential(600, n)], axis=1)
        seconds.append(np.concatenate([[0], gaps.ravel()]))
    return log_of(cases, seconds)


def letters() -> pd.DataFrame:
    """Words as cases of letters."""
    with gzip.open(DATA.parent / "text" / "wikitext2_valid.txt.gz", "rt") as file:
        words = sorted(set(re.findall("[a-z]{3,}", file.read().lower())))
    return log_of([[ord(c) for c in words[i]] for i in np.random.default_rng(0).permutation(len(words))[:4000]])


def ratings() -> pd.DataFrame:
    """What users of MovieLens 100k give, in the order of time."""
    path = DATA.parent / "recsys" / "ml100k_u.data.gz"
    log = pd.read_csv(path, sep="\t", names=["CaseID", "item", "ActivityID", "seconds"])
    log = log.sort_values(["CaseID", "seconds"], kind="stable")
    log["CompleteTimestamp"] = pd.to_datetime(log.pop("seconds"), unit="s")
    return log[log["CaseID"] < 400].reset_index(drop=True)


def made_up(n_seeds: int) -> None:
    logs: dict[str, pd.DataFrame] = {
        "last event decides, 300 cases": last_events_decide(300, 12, 1),
        "last two decide, 1,000 cases": last_events_decide(1000, 10, 2),
        "200 activities": many_activities(),
        "letters of words": letters(),
        "four kinds of cases": kinds_of_cases(),
        "as often again": as_often_again(),
        "gaps decide": gaps_decide(),
        "ratings": ratings(),
    }
    print(f"{'without the end, with it':30s} {'best chain':>15s} {'net alone':>15s} {'SequenceEmbedder':>17s}  weights")
    for name, log in logs.items():
        cases = log["CaseID"].drop_duplicates()
        is_train = log["CaseID"].isin(cases[: int(len(cases) * 2 / 3)])
        train, test = log[is_train], log[~is_train]
        tests = {end: rows_of(test, prefixes=2, next_of="ActivityID", end=end) for end in (None, END)}
        X = rows_of(train).X
        scores = [
            np.max([[chain(train, tests[end], end, order) for end in (None, END)] for order in (1, 2, 3)], axis=0)
        ]
        for options in ({"n_previous": 0}, {}):
            of_seeds = []
            for seed in range(n_seeds):
                embedder = SequenceEmbedder(random_state=seed, **options).fit(X)
                of_seeds.append([accuracy(embedder, tests[end], end) for end in (None, END)])
            scores.append(np.mean(of_seeds, axis=0))
        shown = " ".join(f"{a:8.3f} {b:6.3f}" for a, b in scores)
        print(f"{name:30s} {shown}  {embedder.mixture_weights_[0]:.2f}, {embedder.mixture_weights_[1]:.2f}", flush=True)


def padding() -> None:
    """Time a forward and backward pass of the cell over packed batches by length, and over padded ones."""
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    train, _ = read("bpi_12_w")
    lengths = rows_of(train).lengths
    from skembed.training.nets.recurrent_net import length_batches

    cell = torch.nn.LSTM(128, 32)
    inputs = torch.randn(int(lengths.max()) * 64, 128)

    def packed() -> float:
        started = time.process_time()
        for batch in length_batches(lengths, 64):
            sizes = torch.as_tensor([(lengths[batch] > t).sum() for t in range(lengths[batch].max())])
            out = cell(torch.nn.utils.rnn.PackedSequence(inputs[: int(sizes.sum())], sizes))[0].data
            out.sum().backward()
        return time.process_time() - started

    def padded() -> float:
        started = time.process_time()
        order, longest = rng.permutation(len(lengths)), int(lengths.max())
        for begin in range(0, len(order), 64):
            n = len(order[begin : begin + 64])
            cell(inputs[: n * longest].view(longest, n, -1))[0].sum().backward()
        return time.process_time() - started

    turns = [(packed(), padded()) for _ in range(3)]
    by_length, to_longest = np.median(turns, axis=0)
    print(f"a pass over BPI-12W by length {by_length:.2f} s, padded to the longest {to_longest:.2f} s, ", end="")
    print(f"{to_longest / by_length:.1f} times as much (medians of 3, in turns)")


if __name__ == "__main__":
    main()
