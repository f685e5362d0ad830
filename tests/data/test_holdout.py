"""Hidden parts of baskets: how much, which, and that others have no say in it."""

import re

import numpy as np
import pytest
from scipy import sparse

from skembed import InteractionEmbedder
from skembed.interactions import basket_split

RNG = np.random.default_rng(0)
X = sparse.random(60, 40, 0.3, "csr", random_state=0)
LISTS = [[f"i{item}" for item in X[row].indices] for row in range(60)]


@pytest.mark.parametrize("hidden", [0.2, 0.5, 1, 3])
def test_how_much_is_hidden(hidden):
    shown, rest = basket_split(X, hidden=hidden)
    assert abs(shown + rest - X).max() == 0
    counts, n_hidden = np.diff(X.indptr), np.diff(rest.indptr)
    wanted = np.full(60, hidden) if isinstance(hidden, int) else np.maximum(np.round(hidden * counts), 1)
    assert np.array_equal(n_hidden, np.minimum(wanted, np.maximum(counts - 1, 0)))


@pytest.mark.parametrize("lists", [False, True])
def test_a_basket_is_split_alike_wherever_it_stands(lists):
    order = RNG.permutation(60)
    if lists:
        shown, rest = basket_split(LISTS)
        found = basket_split([LISTS[row][::-1] for row in order])
        assert [set(row) for row in found[0]] == [set(shown[row]) for row in order]
        assert [set(row) for row in found[1]] == [set(rest[row]) for row in order]
    else:
        shown, rest = basket_split(X)
        found = basket_split(X[order])
        assert abs(found[0] - shown[order]).max() == 0
        assert abs(found[1] - rest[order]).max() == 0


def test_zeros_that_are_written_out_are_no_items_and_entries_that_repeat_are_one():
    zeros = X.copy()
    zeros.data[::3] = 0
    plain = zeros.copy()
    plain.eliminate_zeros()
    entries = zeros.tocoo()
    halves = sparse.csr_matrix((60, 40))
    halves.data = np.repeat(zeros.data / 2, 2)
    halves.indices, halves.indptr = np.repeat(zeros.indices, 2), zeros.indptr * 2
    for other in (zeros, entries, halves):
        for found, expected in zip(basket_split(other, hidden=0.5), basket_split(plain, hidden=0.5)):
            assert abs(found - expected).max() == 0
            assert found.nnz == expected.nnz
    assert zeros.nnz == X.nnz  # as it was given


def test_entries_that_repeat_are_added_up_beyond_their_type():
    plays = sparse.coo_matrix((np.full(4, 200, np.uint8), ([0, 0, 0, 0], [1, 1, 2, 2])), shape=(1, 3))
    shown, hidden = basket_split(plays, hidden=1)
    assert (shown + hidden).toarray().tolist() == [[0, 400, 400]]


def test_the_seed_decides():
    assert abs(basket_split(X, random_state=1)[0] - basket_split(X, random_state=1)[0]).max() == 0
    assert abs(basket_split(X, random_state=1)[0] - basket_split(X, random_state=2)[0]).max() > 0


def test_all_items_are_hidden_equally_often():
    whole = sparse.csr_matrix(np.ones((1, 10)))
    counts = sum(basket_split(whole, hidden=1, random_state=seed)[1].toarray()[0] for seed in range(2000))
    assert abs(counts - 200).max() < 60  # four and a half standard deviations


def test_the_last_ones():
    times = X.copy()
    times.data = RNG.permutation(X.nnz).astype(float)
    times.data[0] = 0.0  # a time like others
    shown, rest = basket_split(X, hidden=2, order="last", times=times)
    for row in range(60):
        when = times[row].toarray()[0]
        if len(rest[row].indices) and len(shown[row].indices):
            assert when[rest[row].indices].min() > when[shown[row].indices].max()
    assert basket_split([["a", "b", "a"]], hidden=1, order="last") == ([["a"]], [["b"]])


def test_faults():
    for hidden in (0, 1.0, -1, True, "all"):
        with pytest.raises((ValueError, TypeError), match=r"hidden|not supported"):
            basket_split(X, hidden=hidden)
    with pytest.raises(ValueError, match="order='first'"):
        basket_split(X, order="first")
    with pytest.raises(ValueError, match="needs times"):
        basket_split(X, order="last")
    with pytest.raises(ValueError, match="times has no entry for row"):
        basket_split(X, order="last", times=X.multiply(X > 0.5))
    times = X.toarray()
    row, column = (int(place[0]) for place in np.nonzero(times))
    with pytest.raises(ValueError, match=f"times is NaN in row {row} and column {column}"):
        basket_split(X, order="last", times=np.ma.array(times, mask=times == times[row, column]))


def test_faults_in_full():
    def message_of(*args, **options):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 (its text is what is looked at)
            basket_split(*args, **options)
        return str(caught.value)

    for hidden in (0, 1.0, -1, 0.0, True):
        assert message_of(X, hidden=hidden) == (
            f"hidden={hidden!r}, expected a share between 0 and 1, or a number of items from 1 on."
        )
    assert message_of(X, order="first") == "order='first', expected 'random' or 'last'."
    assert message_of(X, order="last") == "order='last' of a matrix needs times, as read_interactions returns them."
    assert message_of(X, order="last", times=X[:5]) == "times has shape (5, 40), expected that of X, (60, 40)."
    times = X.tolil()
    row, column = 7, int(X[7].indices[2])
    times[row, column] = 0
    times = times.tocsr()
    times.eliminate_zeros()
    assert message_of(X, order="last", times=times) == (
        f"times has no entry for row {row} and column {column}, which X has."
    )


def test_times_that_repeat_count_as_the_latest():
    baskets = sparse.csr_matrix([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    row, column = [1, 0, 0, 0, 0, 1], [2, 0, 2, 1, 0, 1]
    times = sparse.coo_matrix(([9.0, 4.0, 6.0, 5.0, 4.0, 1.0], (row, column)), shape=(2, 3))
    for given in (
        times,
        sparse.csr_matrix((times.data[[1, 4, 3, 2, 5, 0]], [0, 0, 1, 2, 1, 2], [0, 4, 6]), shape=(2, 3)),
    ):
        shown, rest = basket_split(baskets, hidden=1, order="last", times=given)
        assert rest.toarray().tolist() == [[0, 0, 1], [0, 0, 1]]
        assert shown.toarray().tolist() == [[1, 1, 0], [0, 1, 0]]


def test_times_of_an_array_may_be_0():
    baskets = sparse.csr_matrix([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    times = np.array([[0, 3, -1], [np.nan, 0, -2.0]])
    rest = basket_split(baskets, hidden=1, order="last", times=times)[1]
    assert rest.toarray().tolist() == [[0, 1, 0], [0, 1, 0]]


def test_times_of_a_frame_stand_as_its_columns_do():
    pd = pytest.importorskip("pandas")
    baskets = pd.DataFrame([[1, 1, 1]], columns=["a", "b", "c"])
    times = pd.DataFrame([[3, 2, 1]], columns=["c", "b", "a"])
    with pytest.raises(ValueError, match=r"^times has the columns of X in another order; pass times\[X\.columns\]\.$"):
        basket_split(baskets, hidden=1, order="last", times=times)
    for given in (times[baskets.columns], times.to_numpy()[:, ::-1], pd.DataFrame([[1, 2, 3]])):
        assert basket_split(baskets, hidden=1, order="last", times=given)[1].toarray().tolist() == [[0, 0, 1]]


def test_times_that_are_none():
    def message_of(error, baskets, **options):
        with pytest.raises(error) as caught:
            basket_split(baskets, **options)
        return str(caught.value)

    baskets = sparse.csr_matrix([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    for times in (sparse.csr_matrix([[1.0, 0, 2.0], [0, 3.0, np.nan]]), np.array([[1.0, 0, 2.0], [0, 3.0, np.nan]])):
        assert message_of(ValueError, baskets, order="last", times=times) == (
            "times is NaN in row 1 and column 2, which X has; expected a time."
        )
    assert message_of(TypeError, baskets, order="last", times=[["a"] * 3] * 2) == (
        "times holds <U1, expected numbers, as read_interactions returns them."
    )
    assert message_of(ValueError, baskets, times=baskets) == (
        "times is given, and order='random' does not look at it; pass order='last', or no times."
    )
    assert message_of(ValueError, [["a", "b"]], order="last", times=[[1, 2]]) == (
        "times is given, and X holds lists of items, of which order='last' hides those at the end."
    )


def test_seeds_of_every_kind():
    def hidden(random_state):
        return basket_split(X, random_state=random_state)[1].toarray()

    assert (hidden(3) == hidden(np.int64(3))).all()
    assert (hidden(np.random.RandomState(3)) == hidden(np.random.RandomState(3))).all()
    assert (hidden(np.random.RandomState(3)) != hidden(np.random.RandomState(4))).any()
    assert (hidden(None) != hidden(None)).any()
    assert (hidden(-1) != hidden(1)).any()
    assert (hidden(2**40 + 1) == hidden(1)).all()  # 32 bits of it count


def test_of_equal_times_all_are_hidden_equally_often():
    baskets = sparse.csr_matrix([[1, 2, 0, 3, 4], [0, 0, 5, 0, 0], [0, 0, 0, 0, 0]])
    times = sparse.csr_matrix([[7.0, 9.0, 0.0, 7.0, 7.0], [0.0, 0.0, 1.0, 0.0, 0.0], [0.0] * 5])
    counts = np.zeros((3, 5))
    for seed in range(900):
        shown, rest = basket_split(baskets, hidden=2, order="last", times=times, random_state=seed)
        assert abs(shown + rest - baskets).max() == 0
        counts += rest.toarray() > 0
    assert counts[0, 1] == 900
    assert counts[1:].sum() == 0
    assert abs(counts[0, [0, 3, 4]] - 300).max() < 60  # four standard deviations
    alone = basket_split(baskets[:1], hidden=2, order="last", times=times[:1], random_state=899)[1]
    assert abs(alone - rest[:1]).max() == 0
    empty = basket_split(sparse.csr_matrix((2, 3)), order="last", times=sparse.csr_matrix((2, 3)))
    assert [part.nnz for part in empty] == [0, 0]


def test_lists_keep_their_order_and_items_that_repeat_are_one():
    shown, rest = basket_split([["a", "b", "a", "c", 1, True, 1.0], ["x"], []], hidden=0.5, order="last")
    assert (shown, rest) == ([["a", "b"], ["x"], []], [["c", 1], [], []])
    for n in range(2, 12):
        basket = [f"i{j}" for j in range(n)]
        (kept,), (hidden,) = basket_split([basket])
        assert [item for item in basket if item in kept] == kept
        assert len(hidden) == max(1, round(0.2 * n))
        assert sorted(kept + hidden) == sorted(basket)


KEPT = [
    ([["milk", "jam", "oil"]], [["tea", "rye"]]),
    ([["milk", "rye", "jam"]], [["tea", "oil"]]),
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0],
]


def test_what_is_hidden_of_a_basket_stays_so():
    """Whoever compares with an earlier score needs the same split."""
    assert basket_split([["tea", "milk", "rye", "jam", "oil"]], hidden=2) == KEPT[0]
    assert basket_split([["tea", "milk", "rye", "jam", "oil"]], hidden=2, random_state=1) == KEPT[1]
    matrix = sparse.csr_matrix(np.ones((2, 8)))
    assert basket_split(matrix, hidden=3)[1].toarray().tolist() == [KEPT[2], KEPT[2]]


def test_matrices_of_every_kind_are_split_alike():
    pd = pytest.importorskip("pandas")
    X = (np.random.default_rng(0).random((9, 6)) < 0.5) * 2.0
    frame = pd.DataFrame(X, columns=list("abcdef"))
    for given in (X, frame, frame.astype("Int64"), X.astype(object), X.tolist(), sparse.coo_matrix(X)):
        for found, expected in zip(basket_split(given), basket_split(sparse.csr_matrix(X))):
            assert np.array_equal(found.toarray(), expected.toarray())
    with pytest.raises(ValueError, match="Input X contains NaN"):
        basket_split(frame.where(X > 0))  # as of a table that was pivoted, where NaN is no item
    with pytest.raises(ValueError, match=r"X holds text \('eva' in row 0 of column 'user'\), expected a row") as told:
        basket_split(frame.assign(user="eva"))
    with pytest.raises(ValueError, match=re.escape(str(told.value))):
        InteractionEmbedder().fit(frame.assign(user="eva"))
    with pytest.raises(ValueError, match="column 'a' of X holds dates"):
        basket_split(frame.assign(a=np.datetime64("2020-01-01")))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["tea milk", "rye"], "entry 0 of X must be a list of keys, got 'tea milk' of type str; pass"),
        ("tea", "X must be a list of lists of keys, got the single str 'tea'"),
        ([["tea"], None], "entry 1 of X must be a list of keys, got None"),
        ([[["tea"]]], "entry 0 of X holds a key that cannot be hashed"),
    ],
)
def test_what_is_no_list_of_baskets(X, message):
    with pytest.raises(TypeError, match=message):
        basket_split(X)
