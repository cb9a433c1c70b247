"""A task: data, prediction loss, score and the set-up it is published with."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.networks import Network

Loss = Literal["mse", "cross_entropy"]

RISE_AND_FALL = ((0.0, 1.0), (0.25, 10.0), (0.75, 1.0))  # the paper's phases of lambda


def prediction_loss(loss: Loss, outputs: Tensor, targets: Tensor, scored: Tensor | None = None) -> Tensor:
    """Mean squared error, or mean cross-entropy, of each network.

    Args:
        loss: Which of them.
        outputs: Shape (networks, rows, [places,] outputs).
        targets: Shape (networks, rows, [places,] outputs) or (networks, rows), or the same without the networks.
        scored: Which outputs count, shape (places, outputs), or with networks and rows before; None for all.

    Returns:
        Mean over all that counts, shape (networks,).
    """
    if loss == "mse":
        error = (outputs - targets).square()
        if scored is None:
            return error.flatten(1).mean(1)
        counts = scored.to(error.dtype).expand_as(error)
        return (error * counts).flatten(1).sum(1) / counts.flatten(1).sum(1)
    every = targets.expand(outputs.shape[:2])
    return cross_entropy(outputs.mT, every, reduction="none").mean(1)


@dataclass(frozen=True, eq=False)
class Task:
    """Data, prediction loss and score, with the set-up the paper used.

    Targets decide the loss: class numbers mean cross-entropy and accuracy, values mean mean squared error and R^2 (or
    accuracy, where the values are one-hot classes). In a sequence, inputs and targets have one more dimension, the
    places.

    Args:
        name: Name in the registry.
        description: One line.
        inputs: Training inputs, shape (rows, [places,] inputs), or tokens, int64, shape (rows, folds).
        targets: Training targets, shape (rows, [places,] outputs), or class numbers, int64, shape (rows,).
        test_inputs: Test inputs.
        test_targets: Test targets.
        network: The published architecture.
        knobs: The published hyperparameters; their weight factor and layer distance are also the fixed constants the
            reported connection cost is computed with.
        schedule: The published schedule, with greedy relocation.
        model_seed: The published seed of the initial weights.
        input_names: What each input is called in diagrams.
        output_names: What each output is called.
        scored: Which outputs at which places count, bool, shape (places, outputs); None for all.
        one_hot: Whether targets are one-hot class values, 1 for the class and 0 for the others: the loss is then the
            mean squared error, and the score is the accuracy of the largest output.
        trained_in: Type of the parameters where `dtype`'s rule does not hold; see `in_dtype`.

    Raises:
        ValueError: If rows, or numbers of inputs or outputs, do not match, or class numbers are called one-hot.
    """

    name: str
    description: str
    inputs: Tensor
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    network: Network
    per_network: PerNetworkHyperparameters
    shared: SharedHyperparameters
    model_seed: int
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    scored: Tensor | None = None
    one_hot: bool = False
    trained_in: torch.dtype | None = None

    def __post_init__(self) -> None:
        wiring, what = self.network.wiring, f"task {self.name!r}"
        for x, y, rows in ((self.inputs, self.targets, "training"), (self.test_inputs, self.test_targets, "test")):
            if len(x) != len(y) or not len(x):
                raise ValueError(f"{what} has {len(x)} {rows} inputs and {len(y)} {rows} targets")
            if not self.network.takes_tokens and x.shape[-1] != len(wiring.inputs):
                raise ValueError(f"{what} has {x.shape[-1]} inputs, its network has {len(wiring.inputs)}")
            if self.loss_name == "mse" and y.shape[-1] != len(wiring.outputs):
                raise ValueError(f"{what} has {y.shape[-1]} outputs, its network has {len(wiring.outputs)}")
        for kind, names, neurons in (
            ("input", self.input_names, wiring.inputs),
            ("output", self.output_names, wiring.outputs),
        ):
            if len(names) != len(neurons):
                raise ValueError(f"{what} has {len(names)} {kind} names, its network has {len(neurons)} {kind}s")
        if self.one_hot and self.loss_name == "cross_entropy":
            raise ValueError(f"targets of {what} must be values where one_hot is true, got class numbers")
        if self.scored is not None and self.scored.shape != self.targets.shape[1:]:
            raise ValueError(
                f"scored of {what} must have the targets' shape {tuple(self.targets.shape[1:])}, "
                f"got {tuple(self.scored.shape)}"
            )
        if self.scored is not None and not self.scored[-1].any():
            raise ValueError(f"scored of {what} must score an output at the last place, which gives the score")

    @property
    def loss_name(self) -> Loss:
        """ "cross_entropy" for classes, "mse" (mean squared error) for values."""
        return "cross_entropy" if self.targets.dtype == torch.int64 else "mse"

    @property
    def score_name(self) -> str:
        """ "accuracy" for classes, one-hot or by number, "R^2" for values."""
        return "accuracy" if self.one_hot or self.loss_name == "cross_entropy" else "R^2"

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters: that of the data, and float64 where an embedding is trained, as in the paper."""
        if self.trained_in is not None:
            return self.trained_in
        return torch.float64 if self.network.takes_tokens else self.inputs.dtype

    @property
    def sequence_length(self) -> int:
        """Points at which the network is evaluated for one row: the places of a sequence, else 1."""
        return self.inputs.shape[1] if self.inputs.ndim == 3 else 1

    def in_dtype(self, dtype: torch.dtype) -> "Task":
        """The same task, with parameters and values (not its tokens and classes) in a floating-point type."""
        values = {name: value.to(dtype) for name, value in self._data.items() if value.is_floating_point()}
        return replace(self, **values, trained_in=dtype)

    def to(self, device: torch.device | str) -> "Task":
        """The same task with its data on a device."""
        scored = None if self.scored is None else self.scored.to(device)
        return replace(self, **{name: value.to(device) for name, value in self._data.items()}, scored=scored)

    @property
    def _data(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("inputs", "targets", "test_inputs", "test_targets")}

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Prediction loss of each network on the task; see `prediction_loss`.

        Args:
            outputs: In the task's order, shape (networks, rows, [places,] outputs).
            targets: In the task's order, shape (rows, [places,] outputs) or (rows,).
        """
        return prediction_loss(self.loss_name, outputs, targets, self.scored)

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Accuracy, or the mean over outputs of R^2 = 1 - residual / total sum of squares; shape (networks,).

        Of sequences, the last place counts (and there the outputs that are scored).

        Args:
            outputs: In the task's order, shape (networks, rows, [places,] outputs).
            targets: In the task's order, shape (rows, [places,] outputs) or (rows,).
        """
        if self.loss_name == "cross_entropy":
            return (outputs.argmax(2) == targets).to(outputs.dtype).mean(1)
        if targets.ndim == 3:
            which = slice(None) if self.scored is None else self.scored[-1].to(outputs.device)
            outputs, targets = outputs[:, :, -1, which], targets[:, -1, which]
        if self.one_hot:
            return (outputs.argmax(2) == targets.argmax(1)).to(outputs.dtype).mean(1)
        residual = (outputs - targets).square().sum(1)
        total = (targets - targets.mean(0)).square().sum(0)
        return (1 - residual / total).mean(1)
