"""Small tables of categories whose target is known."""

from types import SimpleNamespace

import numpy as np
import pytest

CITIES = ["Bonn", "Graz", "Oslo", "Bari", "Ulm", "Rome", None]
GRADES = ["low", "mid", "high"]


def make_shop(n=420, seed=0):
    """Cities and grades, an interaction of both, a number beside them; enough rows for a net."""
    rng = np.random.default_rng(seed)
    city = rng.integers(len(CITIES), size=n)
    grade = rng.integers(len(GRADES), size=n)
    area = rng.standard_normal(n)
    mean = 0.5 * city + 1.0 * grade + np.where((city + grade) % 2, 0.7, -0.7)
    y = mean + 0.3 * rng.standard_normal(n) + 0.2 * area
    return SimpleNamespace(
        n=n,
        columns={"city": [CITIES[i] for i in city], "grade": [GRADES[i] for i in grade]},
        with_area={"city": [CITIES[i] for i in city], "grade": [GRADES[i] for i in grade], "area": area},
        y=y,
        mean=mean,
        area=area,
        city=city,
        grade=grade,
    )


@pytest.fixture(scope="session")
def shop():
    return make_shop()
