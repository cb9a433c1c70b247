"""Tasks: data, prediction loss, score and the published set-up."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.networks import Network

Loss = Literal["mse", "cross_entropy"]

GREEDY = SharedHyperparameters(relocation="greedy", move_moments=False)  # relocation as in the published code
RISE_AND_FALL = ((0.0, 1.0), (0.25, 10.0), (0.75, 1.0))  # the paper's phases of lambda


def prediction_loss(loss: Loss, outputs: Tensor, targets: Tensor, scored: Tensor | None = None) -> Tensor:
    """Computes the mean squared error or cross-entropy over all outputs that count, of each network, shape (networks,).

    Args:
        loss: "mse" or "cross_entropy".
        outputs: Shape (networks, rows, [sequence_length,] outputs).
        targets: Shape ([networks,] rows, [sequence_length,] outputs), or class numbers, shape ([networks,] rows).
        scored: Mask of the outputs that count, shape ([networks, rows,] sequence_length, outputs); None for all.
    """
    if loss == "mse":
        error = (outputs - targets).square()
        if scored is None:
            return error.flatten(1).mean(1)
        counts = scored.to(error.dtype).expand_as(error)
        return (error * counts).flatten(1).sum(1) / counts.flatten(1).sum(1)
    classes = targets.expand(outputs.shape[:2])
    return cross_entropy(outputs.mT, classes, reduction="none").mean(1)


@dataclass(frozen=True, eq=False)
class Task:
    """Data, prediction loss and score, with the published set-up.

    The targets determine the loss: cross-entropy for class numbers, the mean squared error for values. The score is the
    accuracy of classes (also of one-hot ones) and R^2 of values.

    Args:
        name: Name in the registry.
        description: One line.
        inputs: Training inputs, shape (rows, [sequence_length,] inputs), or tokens, int64, shape (rows, folds).
        targets: Training targets, shape (rows, [sequence_length,] outputs), or class numbers, int64, shape (rows,).
        validation_inputs: Validation inputs: hyperparameters, thresholds and networks are chosen by them.
        validation_targets: Validation targets.
        test_inputs: Test inputs: what has been chosen is judged by them.
        test_targets: Test targets.
        network: The published architecture.
        per_network: The published hyperparameters. The reported connection cost always has their weight factor and
            layer distance.
        shared: The published shared hyperparameters, with greedy relocation.
        model_seed: The published seed of the initial parameters.
        input_names: Name of each input in diagrams.
        output_names: Name of each output.
        scored: Mask of the outputs that count, bool, shape (sequence_length, outputs); None for all.
        one_hot: If True, targets are 1 for the class and 0 for all others. The loss is the mean squared error, and the
            score is the accuracy of the largest output.
        parameter_dtype: Type of the parameters; None for that of the inputs, or float64 with a trainable embedding.

    Raises:
        ValueError: If numbers of rows, inputs, outputs or names do not match, or the last sequence index is not scored.
    """

    name: str
    description: str
    inputs: Tensor
    targets: Tensor
    validation_inputs: Tensor
    validation_targets: Tensor
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
    parameter_dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        wiring, task = self.network.wiring, f"task {self.name!r}"
        for x, y, rows in (
            (self.inputs, self.targets, "training"),
            (self.validation_inputs, self.validation_targets, "validation"),
            (self.test_inputs, self.test_targets, "test"),
        ):
            if len(x) != len(y) or not len(x):
                raise ValueError(f"{task} has {len(x)} {rows} inputs and {len(y)} {rows} targets")
            if not self.network.takes_tokens and x.shape[-1] != len(wiring.inputs):
                raise ValueError(f"{task} has {x.shape[-1]} inputs, its network has {len(wiring.inputs)}")
            if self.loss_name == "mse" and y.shape[-1] != len(wiring.outputs):
                raise ValueError(f"{task} has {y.shape[-1]} outputs, its network has {len(wiring.outputs)}")
        ends = (("input", self.input_names, wiring.inputs), ("output", self.output_names, wiring.outputs))
        for kind, names, neurons in ends:
            if len(names) != len(neurons):
                raise ValueError(f"{task} has {len(names)} {kind} names, its network has {len(neurons)} {kind}s")
        if self.one_hot and self.loss_name == "cross_entropy":
            raise ValueError(f"targets of {task} must be values if one_hot is true, got class numbers")
        if self.scored is not None and self.scored.shape != self.targets.shape[1:]:
            raise ValueError(
                f"scored of {task} must have the targets' shape {tuple(self.targets.shape[1:])}, "
                f"got {tuple(self.scored.shape)}"
            )
        if self.scored is not None and not self.scored[-1].any():
            raise ValueError(f"scored of {task} must include an output at the last sequence index")

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
        """Type of the parameters: that of the inputs, or float64 with a trainable embedding, as in the paper."""
        if self.parameter_dtype is not None:
            return self.parameter_dtype
        return torch.float64 if self.network.takes_tokens else self.inputs.dtype

    @property
    def sequence_length(self) -> int:
        """Number of tokens or times of a sequence; 1 if rows are not sequences."""
        return self.inputs.shape[1] if self.inputs.ndim == 3 else 1

    def cast(self, dtype: torch.dtype) -> "Task":
        """Converts values, not tokens and classes, to a floating-point type, which parameters will also have.

        Args:
            dtype: A floating-point type.
        """
        values = {name: value.to(dtype) for name, value in self._data.items() if value.is_floating_point()}
        return replace(self, **values, parameter_dtype=dtype)

    def to(self, device: torch.device | str) -> "Task":
        """Copies the data to a device.

        Args:
            device: A torch device.
        """
        scored = None if self.scored is None else self.scored.to(device)
        return replace(self, **{name: value.to(device) for name, value in self._data.items()}, scored=scored)

    def choose_by_rows(self, n: int) -> "Task":
        """Returns the task with another number of validation rows; the other held-out rows are test rows.

        Both are spread over the classes as evenly as their numbers allow; where targets are values without repetition,
        rows keep their order.

        Args:
            n: Number of validation rows.

        Raises:
            ValueError: If that leaves no test rows.
        """
        pairs = (("validation_inputs", "test_inputs"), ("validation_targets", "test_targets"))
        inputs, targets = (torch.cat([getattr(self, name) for name in names]) for names in pairs)
        if not 0 < n < len(inputs):
            raise ValueError(
                f"validation_rows must be below the {len(inputs)} rows that {self.name} holds out, got {n}"
            )
        labels = (
            targets.argmax(1)
            if self.one_hot
            else targets.flatten(min(1, targets.ndim - 1)).unique(dim=0, return_inverse=True)[1]
        )
        by_class = labels.argsort(stable=True)
        is_validation = torch.zeros(len(inputs), dtype=torch.bool)
        is_validation[by_class[torch.arange(n) * len(inputs) // n]] = True
        return replace(
            self,
            validation_inputs=inputs[is_validation],
            validation_targets=targets[is_validation],
            test_inputs=inputs[~is_validation],
            test_targets=targets[~is_validation],
        )

    @property
    def _data(self) -> dict[str, Any]:
        names = (f"{rows}{end}" for rows in ("", "validation_", "test_") for end in ("inputs", "targets"))
        return {name: getattr(self, name) for name in names}

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Computes the prediction loss of each network; see `prediction_loss`.

        Args:
            outputs: In the task's order, shape (networks, rows, [sequence_length,] outputs).
            targets: In the task's order, shape (rows, [sequence_length,] outputs) or (rows,).
        """
        return prediction_loss(self.loss_name, outputs, targets, self.scored)

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Computes the accuracy, or the mean over outputs of R^2 = 1 - residual / total squares, shape (networks,).

        In sequences only the last sequence index counts, with those of its outputs that are scored.

        Args:
            outputs: In the task's order, shape (networks, rows, [sequence_length,] outputs).
            targets: In the task's order, shape (rows, [sequence_length,] outputs) or (rows,).
        """
        if self.loss_name == "cross_entropy":
            return (outputs.argmax(2) == targets).to(outputs.dtype).mean(1)
        if targets.ndim == 3:
            mask = slice(None) if self.scored is None else self.scored[-1].to(outputs.device)
            outputs, targets = outputs[:, :, -1, mask], targets[:, -1, mask]
        if self.one_hot:
            return (outputs.argmax(2) == targets.argmax(1)).to(outputs.dtype).mean(1)
        residual = (outputs - targets).square().sum(1)
        total = (targets - targets.mean(0)).square().sum(0)
        return (1 - residual / total).mean(1)
