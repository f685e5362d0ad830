"""Windows of documents that are longer than a model reads at once."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from skembed.apply.contextual_states import windows_of


@given(st.integers(0, 60), st.integers(1, 20))
def test_windows_are_full_cover_all_and_share_a_quarter(n_tokens, length):
    windows = windows_of(n_tokens, length)
    assert windows[0][0] == 0
    assert windows[-1][1] == n_tokens
    if n_tokens <= length:
        assert windows == [(0, n_tokens)]
        return
    assert all(stop - start == length for start, stop in windows)
    shared = [stop - start for (_, stop), (start, _) in itertools.pairwise(windows)]
    assert all(n == length // 4 for n in shared[:-1])
    assert length // 4 <= shared[-1] < length  # the last one ends where the document does
