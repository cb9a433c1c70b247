"""Evaluation of variants of one network, against predictions one by one."""

from dataclasses import replace

import pytest
import torch

from bimt_core import initialise, load_task
from bimt_core.surgery import evaluation
from bimt_core.surgery.evaluation import (
    finite_network,
    loss_and_score,
    scores_without,
    variants_at_once,
    variants_without,
)


def test_variants_match_setting_parameters_to_0_one_by_one(monkeypatch) -> None:
    task = load_task("independence")
    one = initialise(task.network, [0])
    silenced = torch.rand(7, one.flat.shape[1]) < 0.3
    expected = one.flat * ~silenced
    networks = [replace(one, flat=row.unsqueeze(0)) for row in expected]
    chosen = [task.score(o.predict(task.validation_inputs), task.validation_targets).item() for o in networks]
    judged = [task.score(o.predict(task.test_inputs), task.test_targets).item() for o in networks]
    assert min(abs(a - b) for a, b in zip(chosen, judged, strict=True)) > 1e-4
    for values in (1, 3 * evaluation.VALUES_AT_ONCE // variants_at_once(one, task), 2**26):
        monkeypatch.setattr(evaluation, "VALUES_AT_ONCE", values)
        parts = [variants.flat for variants in variants_without(one, task, silenced)]
        assert {len(part) for part in parts[:-1]} <= {variants_at_once(one, task)}
        assert torch.equal(torch.cat(parts), expected)
        assert scores_without(one, task, silenced, "validation") == pytest.approx(chosen, rel=1e-5)
        assert scores_without(one, task, silenced, "test") == pytest.approx(judged, rel=1e-5)


def test_no_variants() -> None:
    task = load_task("two_moons")
    one = initialise(task.network, [0])
    assert list(variants_without(one, task, torch.zeros(0, one.flat.shape[1], dtype=torch.bool))) == []


def test_at_least_one_variant_fits(monkeypatch) -> None:
    task = load_task("two_moons")
    one = initialise(task.network, [0])
    assert variants_at_once(one, task) > 1
    monkeypatch.setattr(evaluation, "VALUES_AT_ONCE", 1)
    assert variants_at_once(one, task) == 1


def test_loss_and_score_are_those_of_the_task() -> None:
    task = load_task("independence")
    population = initialise(task.network, [0, 1], dtype=task.dtype)
    for rows, inputs, targets in (
        ("validation", task.validation_inputs, task.validation_targets),
        ("test", task.test_inputs, task.test_targets),
    ):
        outputs = population.predict(inputs)
        loss, score = loss_and_score(population, task, rows)
        assert torch.equal(loss, task.loss(outputs, targets))
        assert torch.equal(score, task.score(outputs, targets))
    with pytest.raises(ValueError, match=r"^rows must be one of validation, test, got 'training'$"):
        loss_and_score(population, task, "training")


def test_as_many_variants_fit_as_the_larger_set_of_rows_allows() -> None:
    task = load_task("two_moons")
    one = initialise(task.network, [0])
    few = {"inputs": task.inputs[:50], "targets": task.targets[:50]}
    for rows in ("validation", "test"):
        smaller = replace(task, **{f"{rows}_{end}": values for end, values in few.items()})
        assert variants_at_once(one, smaller) == variants_at_once(one, task)
    neither = replace(smaller, validation_inputs=few["inputs"], validation_targets=few["targets"])
    assert variants_at_once(one, neither) > variants_at_once(one, task)


def test_finite_network_selects_one_or_raises() -> None:
    population = initialise(load_task("two_moons").network, [0, 1])
    population.flat[1, 3] = torch.inf
    assert torch.equal(finite_network(population, 0).flat, population.flat[:1])
    for network, message in ((1, "network 1 has parameters that are not finite"), (2, "between 0 and 1, got 2")):
        with pytest.raises(ValueError, match=message):
            finite_network(population, network)
