"""The logistic loss and the softmax of logits in SIMD vectors: what they cost, and which steps they ask for."""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from skembed.kernels.compile import compiled, intrinsic
from skembed.kernels.emit import (
    FAST,
    SIMD_WIDTH,
    clamped,
    everywhere,
    fields_of,
    get,
    get_simd,
    loop,
    put_simd,
    variable,
)
from skembed.kernels.simd import MAX_LOGIT, emit_sigmoid

__all__ = ["logistic_loss", "logistic_steps", "repeat_labels", "softmax_loss", "softmax_steps"]

_TINY = 1e-200  # far above the smallest float64


@intrinsic
def repeat_labels(typing_context, work, n_contexts, n_targets, rate):
    """Write the labels times the learning rate, and the weights times it, once for each context.

    Whole SIMD vectors are written; what they hold beyond the last target the next context overwrites.
    """

    def generate(context, builder, signature, arguments):
        work, n_contexts, n_targets, rate = arguments
        work, rates = fields_of(builder, signature.args[0], work), everywhere(builder, rate)
        with loop(builder, n_contexts) as i, loop(builder, n_targets, SIMD_WIDTH) as k:
            at = builder.add(builder.mul(i, n_targets), k)
            for given, scaled in (work.labels, work.scaled_labels), (work.weights, work.rates):
                put_simd(builder, builder.fmul(rates, get_simd(builder, given, k), flags=FAST), scaled, at)
        return context.get_dummy_value()

    return types.void(work, types.int64, types.int64, types.float32), generate


@intrinsic
def logistic_steps(typing_context, work, n):
    """Replace logits by ``rate * (label - sigmoid)``, 0 where the weight is."""

    def generate(context, builder, signature, arguments):
        work, n = fields_of(builder, signature.args[0], arguments[0]), arguments[1]
        with loop(builder, n, SIMD_WIDTH) as at:
            sigmoid = emit_sigmoid(builder, get_simd(builder, work.logits, at))
            step = builder.fmul(get_simd(builder, work.rates, at), sigmoid, flags=FAST)
            step = builder.fsub(get_simd(builder, work.scaled_labels, at), step, flags=FAST)
            put_simd(builder, step, work.logits, at)
        return context.get_dummy_value()

    return types.void(work, types.int64), generate


@intrinsic
def logistic_loss(typing_context, work, n_contexts, n_targets):
    """Sum of minus the log of what the sigmoids of the logits give to their labels, few logarithms a context."""
    single, double = ir.FloatType(), ir.DoubleType()
    largest, none, one = single(MAX_LOGIT), single(0.0), double(1.0)

    def generate(context, builder, signature, arguments):
        work, n_contexts, n_targets = arguments
        work = fields_of(builder, signature.args[0], work)
        exp = cgutils.get_or_insert_function(builder.module, ir.FunctionType(single, [single]), "llvm.exp.f32")
        log = cgutils.get_or_insert_function(builder.module, ir.FunctionType(double, [double]), "llvm.log.f64")
        loss, likelihood = variable(builder, double(0.0)), variable(builder, one)

        def add_likelihood():
            seen = builder.call(log, [builder.load(likelihood)])
            builder.store(builder.fsub(builder.load(loss), seen), loss)
            builder.store(one, likelihood)

        with loop(builder, n_contexts) as i:
            with loop(builder, n_targets) as k:
                logit = get(builder, work.logits, builder.add(builder.mul(i, n_targets), k))
                logit = clamped(builder, logit, single(-MAX_LOGIT), largest)
                with builder.if_then(builder.fcmp_ordered(">", get(builder, work.weights, k), none)):
                    is_one = builder.fcmp_ordered(">", get(builder, work.labels, k), none)
                    exponent = builder.select(is_one, builder.fneg(logit), logit)
                    odds = builder.fpext(builder.call(exp, [exponent]), double)
                    share = builder.fdiv(one, builder.fadd(one, odds))
                    builder.store(builder.fmul(builder.load(likelihood), share), likelihood)
                    with builder.if_then(builder.fcmp_ordered("<", builder.load(likelihood), double(_TINY))):
                        add_likelihood()
            add_likelihood()
        return builder.load(loss)

    return types.float64(work, types.int64, types.int64), generate


@compiled(inline="always")
def softmax_steps(logits, labels, n, total, rate):
    """Replace n logits by ``rate * (label - total * p)``, where p is their softmax and `total` the sum of the labels.

    Returns
    -------
    log_sum : float
        ``log(sum(exp(logits)))``.
    """
    largest = logits[0]
    for k in range(1, n):
        if logits[k] > largest:
            largest = logits[k]
    mass = 0.0
    for k in range(n):
        logit = logits[k]
        logits[k] = math.exp(logit - largest)
        mass += logits[k]
    share = np.float32(total / mass)
    for k in range(n):
        logits[k] = rate * (labels[k] - share * logits[k])
    return largest + math.log(mass)


@compiled(inline="always")
def softmax_loss(logits, labels, n):
    """Sum over targets of their label times minus the log of their softmax; logits stay."""
    largest = logits[0]
    for k in range(1, n):
        if logits[k] > largest:
            largest = logits[k]
    mass = 0.0
    total = 0.0
    labelled_logits = 0.0
    for k in range(n):
        mass += math.exp(logits[k] - largest)
        total += labels[k]
        labelled_logits += labels[k] * logits[k]
    return total * (largest + math.log(mass)) - labelled_logits
