"""LSTMs whose states are projected, and both are clipped: those of both directions side by side, step by step.

Sak, Senior & Beaufays 2014 (arXiv:1402.1128). Gradients are written out: what autograd would keep and add up at each
step, the weights' among them, is done once for all steps.
"""

from typing import Any, NamedTuple

import torch

__all__ = ["Clips", "ProjectedLSTM", "State"]

# projected states and cells, of shape (2, n_rows, projection_dim) and (2, n_rows, dim)
State = tuple[torch.Tensor, torch.Tensor]


class Clips(NamedTuple):
    """What cells and projected states are clipped to; None: nothing."""

    cell: float | None
    projected: float | None


class ProjectedLSTM:
    """A layer: one LSTM for each direction, whose input of right to left is turned around.

    Parameters
    ----------
    of_input, of_state : Tensor of shape (2, projection_dim, 4 * dim)
        Of the gates that enter, keep and leave, and of the candidate.
    bias : Tensor of shape (2, 1, 4 * dim)
    projection : Tensor of shape (2, dim, projection_dim) or None
        None where states are not projected.
    clips : Clips
    """

    def __init__(
        self,
        of_input: torch.Tensor,
        of_state: torch.Tensor,
        bias: torch.Tensor,
        projection: torch.Tensor | None,
        clips: Clips,
    ) -> None:
        self._of_input, self._of_state, self._bias, self._projection = of_input, of_state, bias, projection
        self._clips = clips

    def zeros(self, n_rows: int) -> State:
        """Return the states to begin from."""
        u = self._of_state
        return u.new_zeros(2, n_rows, u.shape[1]), u.new_zeros(2, n_rows, u.shape[2] // 4)

    def run(self, x: torch.Tensor, active: list[int], state: State | None = None) -> tuple[torch.Tensor, State]:
        """Run over all steps.

        Parameters
        ----------
        x : Tensor of shape (2, n_steps, n_rows, projection_dim)
        active : list of int
            How many rows go on at each step, the first ones; never more than at the step before.
        state : State or None
            None begins from zeros. Gradients do not go through it, nor through the states of the end.

        Returns
        -------
        Tensor of shape (2, n_steps, n_rows, projection_dim)
            Zeros where a row has ended.
        State
            In which each row ended.
        """
        gates = torch.baddbmm(self._bias, x.flatten(1, 2), self._of_input).unflatten(1, x.shape[1:3])
        state = self.zeros(x.shape[2]) if state is None else state
        if torch.is_grad_enabled() and gates.requires_grad:
            out, h, c = _Steps.apply(gates, self._of_state, self._projection, active, self._clips, state)
            return out, (h, c)
        steps = _steps(gates, self._of_state, self._projection, active, self._clips, state)
        return steps.out, (steps.h, steps.c)


class _Run(NamedTuple):
    """States (2, n_steps, n_rows, projection_dim), those of the end, and for gradients gates and cells of each step."""

    out: torch.Tensor
    h: torch.Tensor
    c: torch.Tensor
    gates: list[torch.Tensor]
    cells: list[torch.Tensor]


def _steps(
    gates: torch.Tensor,
    of_state: torch.Tensor,
    projection: torch.Tensor | None,
    active: list[int],
    clips: Clips,
    state: State,
    *,
    keep: bool = False,
) -> _Run:
    dim = gates.shape[3] // 4
    h, c = state
    out = gates.new_zeros(*gates.shape[:3], of_state.shape[1])
    ended: list[State] = []
    kept_gates, kept_cells = [], []
    for step, n in enumerate(active):
        if n < h.shape[1]:
            ended.append((h[:, n:], c[:, n:]))
            h, c = h[:, :n], c[:, :n]
        z = torch.baddbmm(gates[:, step, :n], h, of_state)
        z[:, :, : 3 * dim].sigmoid_()
        z[:, :, 3 * dim :].tanh_()
        enter, keep_on, leave, candidate = z.split(dim, dim=2)
        c = torch.addcmul(keep_on * c, enter, candidate)
        if clips.cell is not None:
            c.clamp_(-clips.cell, clips.cell)
        h = leave * torch.tanh(c)
        if projection is not None:
            h = torch.bmm(h, projection)
            if clips.projected is not None:
                h.clamp_(-clips.projected, clips.projected)
        out[:, step, :n] = h
        if keep:
            kept_gates.append(z)
            kept_cells.append(c)
    ended.append((h, c))
    h, c = (torch.cat([part[i] for part in reversed(ended)], dim=1) for i in range(2))
    return _Run(out, h, c, kept_gates, kept_cells)


class _Steps(torch.autograd.Function):
    """Backpropagation through the steps (Werbos 1990), from the outputs to the gates' inputs and to the weights."""

    @staticmethod
    def forward(
        ctx: Any,
        gates: torch.Tensor,
        of_state: torch.Tensor,
        projection: torch.Tensor | None,
        active: list[int],
        clips: Clips,
        state: State,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        run = _steps(gates, of_state, projection, active, clips, state, keep=True)
        ctx.save_for_backward(run.out, of_state, *(() if projection is None else (projection,)))
        ctx.run, ctx.active, ctx.clips, ctx.state = run, active, clips, state
        ctx.mark_non_differentiable(run.h, run.c)
        return run.out, run.h, run.c

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple:
        d_out, (out, of_state, *rest), clips = gradients[0], ctx.saved_tensors, ctx.clips
        projection = rest[0] if rest else None
        _, n_steps, n_rows, width = out.shape
        dim = of_state.shape[2] // 4
        d_gates = out.new_zeros(2, n_steps, n_rows, 4 * dim)
        projected = out.new_zeros(2, n_steps, n_rows, dim)  # what was projected, and what came back to it
        d_projected = out.new_zeros(2, n_steps, n_rows, width)
        d_h, d_c = out.new_zeros(2, n_rows, width), out.new_zeros(2, n_rows, dim)
        for step in reversed(range(n_steps)):
            n = ctx.active[step]
            enter, keep_on, leave, candidate = ctx.run.gates[step].split(dim, dim=2)
            cell = ctx.run.cells[step]
            before = (ctx.run.cells[step - 1] if step else ctx.state[1])[:, :n]
            bounded = torch.tanh(cell)
            back = d_out[:, step, :n] + d_h[:, :n]
            if projection is not None:
                if clips.projected is not None:
                    back = back * (out[:, step, :n].abs() < clips.projected)
                d_projected[:, step, :n] = back
                projected[:, step, :n] = leave * bounded
                back = torch.bmm(back, projection.transpose(1, 2))
            d_cell = torch.addcmul(d_c[:, :n], back * leave, 1 - bounded * bounded)
            if clips.cell is not None:
                d_cell = d_cell * (cell.abs() < clips.cell)
            d_z = d_gates[:, step, :n]
            torch.mul(d_cell * candidate, enter - enter * enter, out=d_z[:, :, :dim])
            torch.mul(d_cell * before, keep_on - keep_on * keep_on, out=d_z[:, :, dim : 2 * dim])
            torch.mul(back * bounded, leave - leave * leave, out=d_z[:, :, 2 * dim : 3 * dim])
            torch.mul(d_cell * enter, 1 - candidate * candidate, out=d_z[:, :, 3 * dim :])
            d_c[:, :n] = d_cell * keep_on
            d_h[:, :n] = torch.bmm(d_z, of_state.transpose(1, 2))
        states_before = torch.cat([ctx.state[0][:, None], out[:, :-1]], dim=1)
        d_of_state = torch.bmm(states_before.flatten(1, 2).transpose(1, 2), d_gates.flatten(1, 2))
        d_projection = None
        if projection is not None:
            d_projection = torch.bmm(projected.flatten(1, 2).transpose(1, 2), d_projected.flatten(1, 2))
        return d_gates, d_of_state, d_projection, None, None, None
