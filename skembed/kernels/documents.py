"""Documents as bags of rows, and the classes that their means predict (Joulin et al. 2017, arXiv:1607.01759)."""

import numpy as np

from skembed.kernels.arguments import unpacked
from skembed.kernels.compile import compiled
from skembed.kernels.hidden import (
    add_label,
    add_negatives,
    add_path,
    choose_all,
    learn_logistic,
    learn_softmax,
    mean_of_rows,
    move_rows_by,
)
from skembed.kernels.shard import (
    ShardPointers,
    TargetPointers,
    WorkspacePointers,
    packed_shard,
    packed_targets,
)
from skembed.kernels.simd import pointer

__all__ = ["ONE_VS_ALL", "SAMPLED", "SOFTMAX", "train_documents"]

SAMPLED, SOFTMAX, ONE_VS_ALL = 0, 1, 2  # which output rows are the targets of a document: some, or all


def train_documents(shard, begins, factors, labels, weights, targets, kind, learning_rate, state, workspace):
    """Learn from each document of a shard, in place: from the mean of its rows its class.

    As in the fastText program, but that each row of a document moves by a factor of its own, times the step of the
    mean; in the program it is the row's share of the mean.

    Parameters
    ----------
    shard : Shard
        `ends` are those of the documents in `begins`, none of which is empty; `tokens` and `input_pairs` are not used.
    begins : ndarray of shape (n,), int64
        Where the rows of the documents begin in the inputs.
    factors : ndarray of shape (n,), float32
        What the step of the mean is multiplied by, to be the row's.
    labels : ndarray of shape (n_documents,), int32
        Output row of the class.
    weights : ndarray of shape (n_documents,), float32
        Factors of the learning rate.
    targets : Targets
    kind : {SAMPLED, SOFTMAX, ONE_VS_ALL}
        `SAMPLED` takes `targets`: negative samples, or paths; the others all output rows, with one softmax or a
        logistic regression each.
    learning_rate : float
    state : ndarray of shape (1,), uint64
    workspace : Workspace
        See `skembed.kernels.bags.new_hidden_workspace`.

    Returns
    -------
    loss : float
        Sum of the losses of all documents, times their weights.
    """
    packed = packed_shard(shard), packed_targets(targets), workspace.packed
    # numba compiles one kernel where an argument is None, another where not
    softmax = True if kind == SOFTMAX else None
    sampled = True if kind == SAMPLED else None
    hierarchical = True if targets.hierarchical else None
    return _train_documents(
        *packed, begins, factors, labels, weights, softmax, sampled, hierarchical, learning_rate, state
    )


@compiled()
def _train_documents(
    shard, targets, workspace, begins, factors, labels, weights, softmax, sampled, hierarchical, rate, state
):
    loss = 0.0
    rows, choices = unpacked(shard, ShardPointers), unpacked(targets, TargetPointers)
    work, random = unpacked(workspace, WorkspacePointers), pointer(state)
    places, of_steps = pointer(begins), pointer(factors)
    if sampled is None:
        choose_all(rows, work, rows.n_outputs)
    first = 0
    for document in range(rows.n_sequences):
        n = rows.ends[document] - first
        label, weight = np.int64(labels[document]), weights[document]
        step = np.float32(rate * weight)
        mean_of_rows(rows.inputs, rows.width, places, first, n, work.hidden)
        if sampled is None:
            n_targets = rows.n_outputs
            add_label(rows, work, label, np.float32(1.0))
        elif hierarchical is None:
            n_targets = add_negatives(rows, choices, label, 0, random, work)
        else:
            n_targets = add_path(rows, choices, label, 0, work)
        if softmax is None:
            loss += weight * learn_logistic(rows, work, n_targets, step, True)
        else:
            loss += weight * learn_softmax(rows, work, n_targets, np.float32(1.0), step, True)
        if sampled is None:
            work.labels[label] = np.float32(0.0)
        move_rows_by(rows.inputs, rows.width, places, of_steps, first, n, work.hidden)
        first += n
    return loss
