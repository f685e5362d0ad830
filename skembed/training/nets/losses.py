"""Losses of several outputs side by side, and the curvature that Gauss-Newton steps need."""

from collections.abc import Sequence

import torch
from torch.nn import functional

__all__ = ["MultiLoss"]

_BISECTIONS = 20  # to a share within 1e-6: scores may be very large


class MultiLoss:
    """The sum over outputs of squared error / 2, logistic loss, or cross-entropy.

    Parameters
    ----------
    parts : sequence of (kind, start, stop)
        Kind is "continuous", "binary" or "multiclass"; start and stop bound the output's columns.
    """

    def __init__(self, parts: Sequence[tuple[str, int, int]]) -> None:
        self.parts = list(parts)
        self.n_targets = max(stop for _, _, stop in self.parts)
        # one independent curvature column an output: few of them, and the exact curvature costs no more than a sample
        self.is_diagonal = all(kind != "multiclass" for kind, _, _ in self.parts) and self.n_targets <= 4

    def __call__(self, scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of each row.

        Parameters
        ----------
        scores, target : Tensor of shape (batch_size, n_targets)
            Scores are numbers or logits.

        Returns
        -------
        Tensor of shape (batch_size,)
        """
        total = torch.zeros(len(scores), dtype=scores.dtype, device=scores.device)
        for kind, start, stop in self.parts:
            s, t = scores[:, start:stop], target[:, start:stop]
            if kind == "continuous":
                total = total + 0.5 * ((s - t) ** 2).sum(dim=1)
            elif kind == "binary":
                total = total + functional.binary_cross_entropy_with_logits(s, t, reduction="none").sum(dim=1)
            else:
                total = total - (t * functional.log_softmax(s, dim=1)).sum(dim=1)
        return total

    def shrunk(
        self, scores: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, mean_scores: torch.Tensor
    ) -> float:
        """Return the mean loss of scores that are drawn towards those of the average as far as does them good.

        A model that is fitted to such scores, or to what they are made of, would draw them there itself: how confident
        they are is not what they are worth.

        Parameters
        ----------
        scores, target : Tensor of shape (n_rows, n_targets)
        weight : Tensor of shape (n_rows,)
        mean_scores : Tensor of shape (n_targets,)
            What is said of every row by who knows nothing of it. Each output is drawn towards its own.
        """
        total = 0.0
        weight = weight.double() / weight.sum(dtype=torch.float64)
        for kind, start, stop in self.parts:
            part = MultiLoss([(kind, 0, stop - start)])
            mean, t = mean_scores[start:stop].double(), target[:, start:stop].double()
            beyond = scores[:, start:stop].double() - mean
            low, high, share = 0.0, 1.0, 1.0  # where a convex function is least, by its slope
            for _ in range(_BISECTIONS):
                slope = -float(((part.residual(mean + share * beyond, t) * beyond).sum(dim=1) * weight).sum())
                low, high = (share, high) if slope <= 0 else (low, share)
                share = (low + high) / 2
            total += float((part(mean + share * beyond, t) * weight).sum())
        return total

    def residual(self, scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return minus the gradient of the loss with respect to the scores, of their shape."""
        return target - self._expected(scores)

    def curvature_roots(self, scores: torch.Tensor, generator: torch.Generator, n_draws: int = 3) -> list[torch.Tensor]:
        """Return vectors v, each (batch_size, n_targets): the sum of v v' is the loss's Hessian, or has it as mean.

        Exact where the Hessian is diagonal. Else v is the loss's gradient for targets drawn from the model itself,
        whose covariance is the Hessian (Fisher's information; Martens 2020, section 5).
        """
        if self.is_diagonal:
            expected, roots = self._expected(scores), []
            for kind, start, _ in self.parts:
                v = torch.zeros_like(scores)
                p = expected[:, start]
                v[:, start] = 1.0 if kind == "continuous" else (p * (1 - p)).sqrt()
                roots.append(v)
            return roots
        expected = self._expected(scores)
        return [self._draw(expected, generator) / n_draws**0.5 for _ in range(n_draws)]

    def _expected(self, scores: torch.Tensor) -> torch.Tensor:
        expected = scores.clone()
        for kind, start, stop in self.parts:
            if kind == "binary":
                expected[:, start:stop] = torch.sigmoid(scores[:, start:stop])
            elif kind == "multiclass":
                expected[:, start:stop] = torch.softmax(scores[:, start:stop], dim=1)
        return expected

    def _draw(self, expected: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        p = expected.cpu()
        v = torch.empty_like(p)
        for kind, start, stop in self.parts:
            part, shape = slice(start, stop), (len(p), stop - start)
            if kind == "continuous":
                v[:, part] = torch.randn(shape, generator=generator, dtype=p.dtype, device="cpu")
            elif kind == "binary":
                draws = torch.rand(shape, generator=generator, dtype=p.dtype, device="cpu")
                v[:, part] = (draws < p[:, part]).to(p.dtype) - p[:, part]
            else:
                drawn = torch.multinomial(p[:, part], 1, generator=generator)
                v[:, part] = torch.zeros_like(p[:, part]).scatter_(1, drawn, 1.0) - p[:, part]
        return v.to(expected.device)
