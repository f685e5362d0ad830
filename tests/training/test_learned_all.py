"""Trainers behind all estimators: what is learned, beside the numbers that are kept."""

import pytest
from learned import KINDS, check_learned


@pytest.mark.parametrize("name", KINDS)
def test_it_learns_what_it_did(name):
    check_learned(name)
