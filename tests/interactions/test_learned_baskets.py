"""Baskets: what is learned of them, beside the numbers that are kept."""

import pytest
from learned import check_learned, examples_of


@pytest.mark.parametrize("name", examples_of("InteractionEmbedder"))
def test_it_learns_what_it_did(name):
    check_learned(name)
