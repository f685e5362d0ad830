"""Round trips by skops: every estimator alone, in a Pipeline and in a ColumnTransformer, with the types to trust."""

import numpy as np
import pandas as pd
import pytest
from estimators import EXAMPLES, FRAME, NUMBER
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skembed

skops = pytest.importorskip("skops.io")


def there_and_back(estimator, trusted=()):
    dumped = skops.dumps(estimator)
    trusted = [*skembed.trusted_types(), *trusted]
    assert set(skops.get_untrusted_types(data=dumped)) <= set(trusted)
    return skops.loads(dumped, trusted=trusted)


@pytest.mark.parametrize("name", EXAMPLES)
def test_alone_and_in_a_pipeline(name):
    example = EXAMPLES[name]
    estimator = example.fit()
    expected = example.output(estimator)
    np.testing.assert_array_equal(example.output(there_and_back(estimator)), expected)
    pipeline = make_pipeline(FunctionTransformer(), estimator)
    np.testing.assert_array_equal(example.output(there_and_back(pipeline)), expected)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_beside_other_columns_where_values_are_missing(missing):
    frame = FRAME.assign(city=FRAME["city"].astype(object).where(FRAME["city"].notna(), missing), number=NUMBER)
    columns = ColumnTransformer(
        [
            ("vectors", skembed.EntityEmbeddingEncoder(random_state=0), ["city", "size"]),
            ("others", skembed.CooccurrenceEncoder(random_state=0), ["city", "code"]),
            ("numbers", StandardScaler(), ["number"]),
        ]
    )
    model = make_pipeline(columns, Ridge()).fit(frame, NUMBER)
    # a ColumnTransformer of scikit-learn 1.6 has a type of its own that skops does not know, whatever is in it
    plain = skops.dumps(ColumnTransformer([("numbers", StandardScaler(), ["number"])]).fit(frame))
    again = there_and_back(model, skops.get_untrusted_types(data=plain))
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example.further])
def test_partial_fit_goes_on(name):
    example = EXAMPLES[name]
    estimator = example.fit()
    again = there_and_back(estimator)
    for one in (estimator, again):
        one.partial_fit(*example.further)
    np.testing.assert_array_equal(example.output(again), example.output(estimator))


def test_tables():
    table = skembed.EmbeddingTable(["Ulm", None, 7], np.eye(3), unknown=np.ones(3), metric="euclidean")
    assert there_and_back(table) == table
    subwords = EXAMPLES["FastTextVectorizer"].fit().embedding_
    assert there_and_back(subwords) == subwords


def test_a_state_of_another_kind_is_refused():
    from skembed.data.keys import Keys

    with pytest.raises(ValueError, match="Keys: expected"):
        object.__new__(Keys).__setstate__({"array": np.arange(3)})
