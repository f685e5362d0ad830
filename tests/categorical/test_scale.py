"""Many levels: memory in proportion to the table. One subprocess, so that its peak is its own."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys
import numpy as np
from skembed import EntityEmbeddingEncoder

n = int(sys.argv[1])
rng = np.random.default_rng(0)
X = rng.permutation(n)[:, None]  # a level of its own for each row
y = rng.standard_normal(n)
encoder = EntityEmbeddingEncoder(min_frequency=1, max_iter=1, early_stopping=False, random_state=0, cv=None)
encoder.fit(X, y)
assert len(encoder.embeddings_["x0"]) == n
assert np.isfinite(encoder.transform(X[:1000])).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
@pytest.mark.filterwarnings("ignore:column")
def test_a_million_levels_need_memory_in_proportion_to_the_table():
    done = subprocess.run([sys.executable, "-c", CODE, "1000000"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2.0e9  # 0.3e9 of it before there is a row
