"""Training of given word vectors on a corpus."""

from typing import Any

from skembed.data.vocabulary import Vocabulary
from skembed.table import EmbeddingTable
from skembed.text._inputs import Inputs
from skembed.text._word_training import starting_tables, warn_of_no_pairs
from skembed.text._words import check_table_memory, vocabulary_rows
from skembed.training.callbacks import PassCallbacks
from skembed.training.run import Run, draw_seed, settings_of

__all__ = ["train_further"]


def train_further(
    given: EmbeddingTable, inputs: Inputs, vocabulary: Vocabulary, estimator: Any, callbacks: PassCallbacks
) -> tuple[EmbeddingTable, list[float]]:
    """Go on learning vectors as `Word2VecVectorizer` learns them.

    Parameters
    ----------
    given : EmbeddingTable
        Where words begin; others begin at random.
    inputs : Inputs
        Normalized.
    vocabulary : Vocabulary
        The words to learn.
    estimator : PretrainedVectorizer
        Has the parameters of the training.
    callbacks : PassCallbacks

    Returns
    -------
    table : EmbeddingTable
        Of the vocabulary.
    loss_curve : list of float
    """
    from skembed.training.sequences import SequenceSettings, SequenceTables, train_sequences  # numba: to fit only

    dim = given.embedding_dim
    check_table_memory(len(vocabulary), dim)
    seed = draw_seed(estimator.random_state)
    start, _ = starting_tables(vocabulary.keys, dim, None, given, seed)
    tables = train_sequences(
        inputs.sequences(vocabulary_rows(vocabulary, inputs.words)),
        vocabulary.counts,
        settings_of(SequenceSettings, estimator, embedding_dim=dim),
        Run(seed, estimator.n_jobs, estimator.verbose, callbacks, "words"),
        start=SequenceTables(*start, []),  # type: ignore[arg-type]
    )
    warn_of_no_pairs(tables.loss_curve, estimator.subsample)
    return EmbeddingTable(vocabulary.shared_keys.array, tables.input), tables.loss_curve
