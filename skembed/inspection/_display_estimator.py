"""Estimators made of others, as Pipeline, ColumnTransformer and FeatureUnion are: their one step with tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from skembed.table import EmbeddingTable

# where scikit-learn's Pipeline, ColumnTransformer (once fitted) and FeatureUnion hold their steps by name
_STEPS = ("named_steps", "named_transformers_", "named_transformers")


def with_tables(estimator: Any) -> Any:
    """The step of `estimator` that has tables, at any depth; `estimator` itself if it has some or has no steps.

    Raises
    ------
    ValueError
        Naming the steps, if none of them has tables or more than one.
    """
    steps = {} if _has_tables(estimator) else dict(_steps(estimator))
    if not steps:
        return estimator
    found = {path: step for path, step in steps.items() if _has_tables(step)}
    if len(found) == 1:
        return next(iter(found.values()))
    name = type(estimator).__name__
    if not found:
        raise ValueError(
            f"estimator must have one step with embedding_ or embeddings_; {name} has none among {_listed(steps)}. "
            "Pass a fitted one that has such a step, or a table to from_table."
        )
    raise ValueError(
        f"estimator must have one step with embedding_ or embeddings_; {name} has {len(found)}: {_listed(found)}. "
        f"Pass one of them, as from_estimator(estimator.{next(iter(found))})."
    )


def _steps(estimator: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All steps, the outer before those in them, each with the expression that leads from the outermost to it."""
    for attribute in _STEPS:
        steps = getattr(estimator, attribute, None)
        for name, step in steps.items() if isinstance(steps, Mapping) else ():
            if step is None or isinstance(step, str):  # "drop", "passthrough"
                continue
            here = f"{path}{attribute}[{name!r}]"
            yield here, step
            yield from _steps(step, f"{here}.")


def _has_tables(estimator: Any) -> bool:
    # the embedding_ of scikit-learn's own manifold learners is an array
    tables = getattr(estimator, "embeddings_", None)
    return (isinstance(tables, Mapping) and len(tables) > 0) or isinstance(
        getattr(estimator, "embedding_", None), EmbeddingTable
    )


def _listed(steps: Mapping[str, Any]) -> str:
    return ", ".join(f"{path} ({type(step).__name__})" for path, step in steps.items())
