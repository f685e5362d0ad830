"""Least-squares effects of levels: products with one-hot columns, one sweep of backfitting, cell statistics of pairs.

Several systems are solved side by side, one for each set of rows: `include[i, s]` says whether system s sees row i. The
values of all systems of a level lie beside each other, so that a level is looked up once for all of them.
"""

from skembed.kernels.compile import compiled

__all__ = ["cell_statistic", "level_sums", "normal_product", "sweep_effects"]

_SUMS = {"reassoc", "nsz", "contract"}  # NaN and inf keep their meaning


@compiled(fastmath=_SUMS)
def normal_product(ids, starts, numeric, weight, include, v, out):
    """Compute ``out_s = Z' W_s Z v_s``, Z being the one-hot columns of all levels beside the side inputs.

    Parameters
    ----------
    ids : ndarray of shape (n_samples, n_columns), int32
    starts : ndarray of shape (n_columns + 1,), int64
        Each column's first row in `v`; the side inputs' rows follow at its end.
    numeric : ndarray of shape (n_samples, n_numeric), float64
    weight : ndarray of shape (n_samples,), float64
    include : ndarray of shape (n_samples, n_systems), uint8
    v : ndarray of shape (n_rows, n_systems * n_targets), float64
    out : ndarray of the shape of `v`
        Is overwritten.
    """
    n_columns, n_numeric, n_systems = ids.shape[1], numeric.shape[1], include.shape[1]
    n_targets = v.shape[1] // n_systems
    first_numeric = starts[n_columns]
    n_grouped = n_systems - n_systems % 6
    out[:] = 0.0
    for i in range(ids.shape[0]):
        # six systems, those of five folds and all rows, stay in registers while the levels of a row are visited
        for group in range(0, n_grouped, 6):
            for k in range(n_targets):
                c0 = group * n_targets + k
                c1, c2, c3 = c0 + n_targets, c0 + 2 * n_targets, c0 + 3 * n_targets
                c4, c5 = c0 + 4 * n_targets, c0 + 5 * n_targets
                f0, f1, f2, f3, f4, f5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                for c in range(n_columns):
                    row = starts[c] + ids[i, c]
                    f0 += v[row, c0]
                    f1 += v[row, c1]
                    f2 += v[row, c2]
                    f3 += v[row, c3]
                    f4 += v[row, c4]
                    f5 += v[row, c5]
                for j in range(n_numeric):
                    x, row = numeric[i, j], first_numeric + j
                    f0 += x * v[row, c0]
                    f1 += x * v[row, c1]
                    f2 += x * v[row, c2]
                    f3 += x * v[row, c3]
                    f4 += x * v[row, c4]
                    f5 += x * v[row, c5]
                f0 *= weight[i] * include[i, group]
                f1 *= weight[i] * include[i, group + 1]
                f2 *= weight[i] * include[i, group + 2]
                f3 *= weight[i] * include[i, group + 3]
                f4 *= weight[i] * include[i, group + 4]
                f5 *= weight[i] * include[i, group + 5]
                for c in range(n_columns):
                    row = starts[c] + ids[i, c]
                    out[row, c0] += f0
                    out[row, c1] += f1
                    out[row, c2] += f2
                    out[row, c3] += f3
                    out[row, c4] += f4
                    out[row, c5] += f5
                for j in range(n_numeric):
                    x, row = numeric[i, j], first_numeric + j
                    out[row, c0] += x * f0
                    out[row, c1] += x * f1
                    out[row, c2] += x * f2
                    out[row, c3] += x * f3
                    out[row, c4] += x * f4
                    out[row, c5] += x * f5
        for s in range(n_grouped, n_systems):
            if not include[i, s]:
                continue
            for k in range(s * n_targets, (s + 1) * n_targets):
                fitted = 0.0
                for c in range(n_columns):
                    fitted += v[starts[c] + ids[i, c], k]
                for j in range(n_numeric):
                    fitted += numeric[i, j] * v[first_numeric + j, k]
                fitted *= weight[i]
                for c in range(n_columns):
                    out[starts[c] + ids[i, c], k] += fitted
                for j in range(n_numeric):
                    out[first_numeric + j, k] += numeric[i, j] * fitted


@compiled(fastmath=_SUMS)
def level_sums(ids, starts, weight, include, values, n_targets, out):
    """Add up what the rows of each level hold, for each system.

    Parameters
    ----------
    ids, starts, weight, include
        As in `normal_product`.
    values : ndarray of shape (n_samples, n_targets) or (n_samples, n_systems * n_targets), float64
        Of each row, the same for all systems or one block for each.
    n_targets : int
    out : ndarray of shape (n_rows, n_systems * n_targets), float64
        Is added to.
    """
    shared = values.shape[1] == n_targets
    for i in range(ids.shape[0]):
        for s in range(include.shape[1]):
            if not include[i, s]:
                continue
            own = 0 if shared else s * n_targets
            for c in range(ids.shape[1]):
                row = starts[c] + ids[i, c]
                for k in range(n_targets):
                    out[row, s * n_targets + k] += weight[i] * values[i, own + k]


@compiled(fastmath=_SUMS)
def sweep_effects(ids, weight, include, counts, ratio, residual, effects, change):
    """Take one step of backfitting for the levels of one column: effects from the residual, and the residual anew.

    A level's new effect is the weighted sum of its rows' residual and old effect over ``count + ratio``. The residual
    of rows that a system does not see changes too: there it is the error of a prediction.

    Parameters
    ----------
    ids : ndarray of shape (n_samples,), int32
    weight : ndarray of shape (n_samples,), float64
    include : ndarray of shape (n_samples, n_systems), uint8
    counts : ndarray of shape (n_levels, n_systems), float64
        Weighted rows of each level that each system sees.
    ratio : float
        Noise variance over effect variance.
    residual : ndarray of shape (n_samples, n_systems * n_targets), float64
        Changes in place.
    effects : ndarray of shape (n_levels, n_systems * n_targets), float64
        Changes in place.
    change : ndarray of the shape of `effects`
        Workspace.
    """
    n_systems = include.shape[1]
    n_targets = effects.shape[1] // n_systems
    change[:] = 0.0
    for i in range(ids.shape[0]):
        row = ids[i]
        for s in range(n_systems):
            if include[i, s]:
                for k in range(s * n_targets, (s + 1) * n_targets):
                    change[row, k] += weight[i] * residual[i, k]
    for row in range(effects.shape[0]):
        for s in range(n_systems):
            count = counts[row, s]
            for k in range(s * n_targets, (s + 1) * n_targets):
                new = (change[row, k] + count * effects[row, k]) / (count + ratio)
                change[row, k] = new - effects[row, k]
                effects[row, k] = new
    for i in range(ids.shape[0]):
        row = ids[i]
        for k in range(residual.shape[1]):
            residual[i, k] -= change[row, k]


@compiled(fastmath=_SUMS)
def cell_statistic(cells, residual, sums, squares, fourths):
    """Return the sum over pairs of rows that share a cell of the product of their residuals, and its null variance.

    Where residuals are independent given the effects of the columns the sum has mean zero; its variance is estimated
    by the sum of the products of their squares. Cells may collide, as in a hash table: pairs that share nothing are
    then added, which have mean zero.

    Parameters
    ----------
    cells : ndarray of shape (n_samples,), int64
        Below ``len(sums)``.
    residual : ndarray of shape (n_samples, n_targets), float64
        Times the root of the row's weight.
    sums : ndarray of shape (n_cells, n_targets), float64
        Zeros, and zeros again afterwards.
    squares, fourths : ndarray of shape (n_cells,), float64
        Zeros, and zeros again afterwards.

    Returns
    -------
    statistic, variance : float
    """
    n_targets = residual.shape[1]
    for i in range(cells.size):
        cell, square = cells[i], 0.0
        for k in range(n_targets):
            sums[cell, k] += residual[i, k]
            square += residual[i, k] * residual[i, k]
        squares[cell] += square
        fourths[cell] += square * square
    statistic, variance = 0.0, 0.0
    for cell in range(squares.size):
        if squares[cell] > 0.0:
            total = 0.0
            for k in range(n_targets):
                total += sums[cell, k] * sums[cell, k]
                sums[cell, k] = 0.0
            statistic += total - squares[cell]
            variance += 2.0 * (squares[cell] * squares[cell] - fourths[cell])
            squares[cell] = 0.0
            fourths[cell] = 0.0
    return statistic, variance
