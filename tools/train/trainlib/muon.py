"""Muon (Jordan et al. 2024) in F32, as PyTorch has it in bf16: momentum with a look ahead, and of that update the nearest
half-orthogonal matrix. Matrices of one shape are computed together."""

import torch

FACTORS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz polynomial."""
ROUNDS = 5
EPSILON = 1e-7


def orthogonal(updates):
    """The nearest half-orthogonal matrices, roughly, of matrices (N, rows, columns)."""
    turned = updates.shape[1] > updates.shape[2]
    x = updates.transpose(1, 2) if turned else updates
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    a, b, c = FACTORS
    for _ in range(ROUNDS):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(1, 2) if turned else x


class Muon(torch.optim.Optimizer):
    def __init__(self, matrices, lr: float, weight_decay: float, momentum: float):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix)
                buffer = state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
                update = matrix.grad.lerp(buffer, group["momentum"])
                by_shape.setdefault(matrix.shape, []).append((matrix, update))
            for (rows, columns), pairs in by_shape.items():
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                for (matrix, _), update in zip(pairs, orthogonal(torch.stack([update for _, update in pairs]))):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)
