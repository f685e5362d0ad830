"""Files of the present version of the format, with what they give, for tests of later ones.

    PYTHONPATH=tests python tests/persistence/make_fixtures.py v1

Run when a version of the format, or an estimator, is new; what is there stays as it is for good.
"""

import json
import sys
import warnings
from pathlib import Path

from estimators import EXAMPLES, table

import skembed

if __name__ == "__main__":
    folder = Path(__file__).parent / "fixtures" / sys.argv[1]
    folder.mkdir(parents=True, exist_ok=True)
    for name, example in EXAMPLES.items():
        if (folder / f"{name}.json").exists():
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = example.fit()
        output = example.output(estimator)[:3].astype(float).tolist()
        if isinstance(estimator, skembed.ContextualVectorizer):
            estimator.set_params(source=Path(estimator.source).name)  # where it lies is the test's to say
        skembed.save(estimator, folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps(output) + "\n")
    if not (folder / "EmbeddingTable.json").exists():
        skembed.save(table(), folder / "EmbeddingTable.safetensors")
        (folder / "EmbeddingTable.json").write_text(json.dumps(table().vectors.tolist()) + "\n")
