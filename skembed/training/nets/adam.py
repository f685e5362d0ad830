"""Adam for the parameters of a small net, kept in one vector."""

import torch

__all__ = ["FlatAdamW"]


class FlatAdamW:
    """AdamW (Loshchilov & Hutter 2019) over all parameters of a module as one vector: a few operations a step.

    The same steps as `torch.optim.AdamW`, which takes several operations for each parameter, and a second to import.

    Parameters
    ----------
    module : torch.nn.Module
        Its parameters and their gradients become views of `weight` and `gradient`; their values stay.
    learning_rate, weight_decay : float
    """

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, module: torch.nn.Module, learning_rate: float, weight_decay: float) -> None:
        parameters = list(module.parameters())
        sizes = [p.numel() for p in parameters]
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.weight = torch.cat([p.detach().flatten() for p in parameters])
        self.gradient = torch.zeros_like(self.weight)
        self.first, self.second = torch.zeros_like(self.weight), torch.zeros_like(self.weight)
        self.n_steps = 0
        for p, weight, gradient in zip(parameters, self.weight.split(sizes), self.gradient.split(sizes)):
            p.data, p.grad = weight.view_as(p), gradient.view_as(p)

    def zero_grad(self) -> None:
        """Set the gradient to zero, in place."""
        self.gradient.zero_()

    def step(self) -> None:
        """Take one step along the gradient."""
        self.n_steps += 1
        self.weight.mul_(1 - self.learning_rate * self.weight_decay)
        self.first.lerp_(self.gradient, 1 - self.beta1)
        self.second.lerp_(self.gradient * self.gradient, 1 - self.beta2)
        scale = self.learning_rate / (1 - self.beta1**self.n_steps)
        spread = (self.second / (1 - self.beta2**self.n_steps)).sqrt_().add_(self.epsilon)
        self.weight.addcdiv_(self.first, spread, value=-scale)
