"""Users and items: hidden items found by InteractionEmbedder and by peers, and the time it takes.

    python benchmarks/interactions.py > benchmarks/results/interactions.txt
    python benchmarks/interactions.py ua splits         # parts of it

Parts: `ua` (MovieLens-100k, its own split), `splits` (the same, users who were never seen), `groceries`, `ials` (beside
implicit's, on generated data), `large` (500,000 items). Data are looked for in ../shared/data/recsys. No parameter is
read off a test part, but for the rows that say so. Peer, where installed: implicit.
"""

import argparse
import gzip
import importlib.util
import resource
import statistics
import time
from pathlib import Path

import numpy as np
from runs import describe
from scipy import linalg, sparse

from skembed import InteractionEmbedder
from skembed.interactions import basket_split

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "recsys"
PENALTIES = (50, 100, 200, 300, 500, 1000)


def ratings(name: str) -> np.ndarray:
    with gzip.open(DATA / name, "rt") as lines:
        return np.array([[int(part) for part in line.split("\t")[:3]] for line in lines])


def matrix(pairs: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(pairs)), (pairs[:, 0] - 1, pairs[:, 1] - 1)), shape=shape)


def measures(scores: np.ndarray, shown: sparse.csr_matrix, hidden: sparse.csr_matrix) -> dict[str, float]:
    """NDCG at 10 and 100, recall at 20 and 50 as Liang et al. 2018 have it, of users with something hidden."""
    scores = np.array(scores, dtype=np.float64)
    scores[shown.nonzero()] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :100]
    relevant = hidden.toarray() > 0
    asked = relevant.any(axis=1)
    hits, n = np.take_along_axis(relevant, best, axis=1)[asked], relevant.sum(axis=1)[asked]
    discounts = 1 / np.log2(np.arange(100) + 2)
    ideal = np.cumsum(discounts)
    found = {f"NDCG@{k}": ((hits[:, :k] @ discounts[:k]) / ideal[np.minimum(n, k) - 1]).mean() for k in (10, 100)}
    return found | {f"R@{k}": (hits[:, :k].sum(axis=1) / np.minimum(n, k)).mean() for k in (20, 50)}


def ease(X: sparse.csr_matrix, penalty: float) -> np.ndarray:
    """EASE as published, all dimensions."""
    gram = (X.T @ X).toarray()
    inverse = linalg.inv(gram + penalty * np.eye(len(gram)))
    B = -inverse / np.diagonal(inverse)
    np.fill_diagonal(B, 0)
    return B


def show(name: str, found: dict[str, float], note: str = "") -> None:
    print(f"  {name:38s}" + "".join(f"{key:>9s} {value:.4f}" for key, value in found.items()) + f"  {note}", flush=True)


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def ua() -> None:
    print("\nMovieLens-100k, `ua`: NDCG@10 at least .314 by default, aim .317; fit at most 1 s")
    test = ratings("ml100k_ua.test.gz")
    whole = ratings("ml100k_u.data.gz")
    shape = (int(whole[:, 0].max()), int(whole[:, 1].max()))
    hidden = matrix(test, shape)
    train = matrix(whole, shape)
    train = (train - train.multiply(hidden > 0)).tocsr()
    train.eliminate_zeros()
    for seed in range(5):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            model = InteractionEmbedder(random_state=seed).fit(train)
            times.append(time.perf_counter() - start)
        found = measures(model.transform(train) @ model.embedding_.vectors.T, train, hidden)
        note = f"fit {statistics.median(times):.2f} s, penalty {model.penalty_:.0f}, dropout {model.dropout_}"
        show(f"default, random_state={seed}", found, note)
    for method in ("ials", "svd", "item2vec", "popularity"):
        model = InteractionEmbedder(method=method, random_state=0).fit(train)
        show(method, measures(model.transform(train) @ model.embedding_.vectors.T, train, hidden))
    best = max(
        (measures(train @ ease(train, penalty), train, hidden) for penalty in PENALTIES), key=lambda m: m["NDCG@10"]
    )
    show("EASE, penalty read off the test part", best)


def splits() -> None:
    print("\nMovieLens-100k, ratings of 4 and 5, 80/20 of the users five times, a fifth of each basket hidden; means")
    pairs = ratings("ml100k_u.data.gz")
    X = matrix(pairs[pairs[:, 2] >= 4], (943, 1682))
    X = X[np.diff(X.indptr) >= 5]
    rows: dict[str, list] = {}
    for seed in range(5):
        users = np.random.default_rng(seed).permutation(X.shape[0])
        n_test = X.shape[0] // 5
        train, (shown, hidden) = X[users[n_test:]], basket_split(X[users[:n_test]], hidden=0.2, random_state=seed)
        for method in ("auto", "ials", "svd", "item2vec", "popularity"):
            model = InteractionEmbedder(method=method, random_state=0).fit(train)
            scores = model.transform(shown) @ model.embedding_.vectors.T
            rows.setdefault(f"default ({model.method_}, 64)" if method == "auto" else method, []).append(
                measures(scores, shown, hidden)
            )
        for penalty in PENALTIES:
            rows.setdefault(f"EASE, penalty={penalty}", []).append(
                measures(shown @ ease(train, penalty), shown, hidden)
            )
    for name, found in rows.items():
        show(name, mean(found))


def groceries() -> None:
    print(
        "\ngroceries, one hidden item of each basket of two and more, 80/20 of the baskets five times; hit rate at 10"
    )
    with gzip.open(DATA / "groceries_baskets.csv.gz", "rt") as lines:
        baskets = [[item for item in line.strip().split(",") if item] for line in lines]
    rows: dict[str, list[float]] = {}
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(baskets))
        n_test = len(order) // 5
        train = [baskets[i] for i in order[n_test:]]
        shown, hidden = basket_split(
            [baskets[i] for i in order[:n_test] if len(baskets[i]) > 1], hidden=1, random_state=seed
        )
        for method in ("auto", "ials", "svd", "item2vec", "popularity"):
            model = InteractionEmbedder(method=method, random_state=0).fit(train)
            keys, _ = model.recommend(shown, 10)
            rows.setdefault(f"default ({model.method_})" if method == "auto" else method, []).append(
                np.mean([item[0] in row for item, row in zip(hidden, keys) if item])
            )
        items = {key: i for i, key in enumerate(dict.fromkeys(key for basket in train for key in basket))}
        X = sparse.lil_matrix((len(train), len(items)))
        for row, basket in enumerate(train):
            X[row, [items[key] for key in basket]] = 1
        gram = (X.tocsr().T @ X.tocsr()).toarray()
        cosine = gram / np.sqrt(np.outer(gram.diagonal(), gram.diagonal()))
        hits = []
        for basket, item in zip(shown, hidden):
            places = [items[key] for key in basket if key in items]
            scores = cosine[places].sum(axis=0)
            scores[places] = -np.inf
            if item:
                hits.append(items.get(item[0], -1) in np.argsort(-scores, kind="stable")[:10])
        rows.setdefault("item-item cosine", []).append(np.mean(hits))
    for name, values in rows.items():
        print(f"  {name:38s} {np.mean(values):.4f} (+- {np.std(values):.4f})")


def generated(n_users: int, n_items: int, n_pairs: int, n_clusters: int, seed: int = 0) -> sparse.csr_matrix:
    """Users of a cluster each, who take popular items and those of their cluster."""
    rng = np.random.default_rng(seed)
    users = rng.integers(n_users, size=n_pairs)
    popular = np.minimum((rng.pareto(0.8, n_pairs) * n_items / 500).astype(np.int64), n_items - 1)
    own = (users % n_clusters + n_clusters * np.minimum(
        (rng.pareto(0.8, n_pairs) * n_items / n_clusters / 50).astype(np.int64), n_items // n_clusters - 1
    ))  # fmt: skip
    X = sparse.csr_matrix(
        (np.ones(n_pairs), (users, np.where(rng.random(n_pairs) < 0.6, own, popular))), (n_users, n_items)
    )
    X.data[:] = 1.0
    return X


def ials() -> None:
    print(
        "\niALS beside implicit's: 20,000 users, 5,000 items, 10**6 draws, 64 dimensions, two threads; medians of three"
    )
    shown, hidden = basket_split(generated(20_000, 5_000, 1_000_000, 50), hidden=0.2)
    users = slice(0, 2000)
    times: dict[str, list[float]] = {}
    quality: dict[str, dict[str, float]] = {}

    def ours(name: str, n_passes: int, penalty: object) -> None:
        start = time.perf_counter()
        model = InteractionEmbedder(method="ials", penalty=penalty, max_iter=n_passes, n_jobs=2, random_state=0).fit(
            shown
        )
        times.setdefault(name, []).append(time.perf_counter() - start)
        quality[name] = measures(
            model.transform(shown[users]) @ model.embedding_.vectors.T, shown[users], hidden[users]
        )
        quality[name] |= {"penalty": model.penalty_}

    def theirs(n_passes: int, regularization: float) -> None:
        from implicit.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        # much the same loss: pairs that did not meet weigh 1, not .1, and those that did 10 times more
        model = AlternatingLeastSquares(
            64, regularization=regularization, alpha=10.0, iterations=n_passes, num_threads=2, random_state=0
        )
        name = f"implicit, {n_passes} passes, {regularization:g}"
        with threadpool_limits(1, user_api="blas"):
            start = time.perf_counter()
            model.fit(shown.astype(np.float32), show_progress=False)
            times.setdefault(name, []).append(time.perf_counter() - start)
        quality[name] = measures(model.user_factors[users] @ model.item_factors.T, shown[users], hidden[users])

    ours("warm", 2, 0.01)  # compilation
    chosen = float(quality.pop("warm")["penalty"])
    for _ in range(3):
        for n_passes in (3, 5, 8, 16):
            ours(f"skembed, {n_passes} passes", n_passes, chosen)
        ours("skembed, 16 passes, penalty chosen", 16, "auto")
        if importlib.util.find_spec("implicit") is not None:
            for regularization in (1.0, 10.0, 30.0, 100.0, 300.0):
                theirs(15, regularization)
    for name in quality:
        show(name, quality[name], f"{statistics.median(times[name]):.2f} s")
    one, two = (InteractionEmbedder(method="ials", n_jobs=n, max_iter=2, random_state=0).fit(shown) for n in (1, 2))
    print(f"  the same bits with one thread: {one.embedding_.vectors.tobytes() == two.embedding_.vectors.tobytes()}")


def large() -> None:
    print("\n500,000 items, 200,000 users, 10**7 draws with popularity and clusters, default")
    X = generated(200_000, 500_000, 10_000_000, 500)
    start = time.perf_counter()
    model = InteractionEmbedder(n_jobs=2, random_state=0).fit(X)
    spent = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {model.method_}: {X.nnz} pairs, fit {spent:.1f} s, peak of the process {peak:.2f} GiB")


PARTS = {"ua": ua, "splits": splits, "groceries": groceries, "ials": ials, "large": large}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    print(describe("numpy", "scipy", "numba"))
    for part in parser.parse_args().parts:
        PARTS[part]()
