"""Classes that a file may name: those that skembed has registered, and no others."""

from importlib import import_module

from scipy import sparse

from skembed.state import STORED

__all__ = ["registered", "trusted_types"]

_SPARSE = (sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array)
_PACKAGES = (
    "table",
    "categorical",
    "text",
    "projection",
    "interactions",
    "image",
    "graph",
    "anomaly",
    "pairs",
    "sequence",
)  # importing one registers what its estimators are made of


def registered(name: str) -> type | None:
    """Return the class of this name, None if there is none; what a name means is never looked up anywhere else."""
    for package in _PACKAGES:
        if name in STORED:
            break
        _import(package)
    return STORED.get(name)


def _import(package: str) -> None:
    """Import a package with all its public names, some of which load on first use."""
    module = import_module(f"skembed.{package}")
    for name in module.__all__:
        getattr(module, name)


def trusted_types() -> list[str]:
    """Return the types that a fitted estimator of skembed may be made of, for the parameter `trusted` of skops.

    They are those of skembed, and scipy's sparse matrices of two formats, as sparse random directions are.

    Returns
    -------
    list of str
        Full names, sorted.

    Examples
    --------
    >>> import skembed
    >>> "skembed.table.embedding_table.EmbeddingTable" in skembed.trusted_types()
    True
    """
    for package in _PACKAGES:
        _import(package)
    return sorted(f"{cls.__module__}.{cls.__qualname__}" for cls in (*STORED.values(), *_SPARSE))
