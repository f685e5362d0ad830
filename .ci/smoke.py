"""What an installation must be able to do: import, learn with numpy alone and with compiled kernels, save and load."""

import importlib.metadata
import sys
from pathlib import Path

import numpy as np

import skembed

where = Path(skembed.__file__).parent
if len(sys.argv) > 1 and not where.is_relative_to(Path(sys.argv[1]).resolve()):
    raise SystemExit(f"skembed was imported from {where}, expected the one installed in {sys.argv[1]}")
if importlib.metadata.version("skembed") != skembed.__version__:
    raise SystemExit(f"the installation says {importlib.metadata.version('skembed')}, skembed {skembed.__version__}")

X = np.array([[str(i % 7), str(i % 3)] for i in range(210)], dtype=object)
rows = skembed.EntityEmbeddingEncoder(random_state=0).fit_transform(X, np.arange(210) % 7 % 2)
assert rows.shape[0] == 210
assert np.isfinite(rows).all()
numbers = np.random.default_rng(0).normal(size=(50, 4))
assert skembed.ProjectionEmbedder("pca", embedding_dim=2).fit_transform(numbers).shape == (50, 2)
assert skembed.EmbeddingTable(["a", "b"], np.eye(2)).nearest("a", k=1)[0][0] == "b"
print(f"skembed {skembed.__version__} from {where} works")
