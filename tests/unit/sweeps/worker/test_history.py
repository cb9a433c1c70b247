import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimt_core import deserialize_population, initialise, load_task, serialize_population, start
from sweeps.worker.history import (
    MAX_BYTES,
    MAX_NETWORK_BYTES,
    HistoryEntry,
    choose_history_steps,
    deserialize_history,
    read_history,
    serialize_history,
    write_history,
)


@pytest.fixture(scope="module")
def history():
    """Two entries of three networks in double precision; the inputs of the second are permuted."""
    first = initialise(load_task("two_moons").network, [1, 2, 3], dtype=torch.float64)
    second = dataclasses.replace(first, flat=2 * first.flat, input_labels=first.input_labels.flip(1))
    return tuple(
        HistoryEntry.of(dataclasses.replace(start(p), step=step))
        for p, step in ((first, 0), (second, 1_000_000_000_000))
    )


def test_entries_are_in_single_precision(history):
    assert [entry.population.flat.dtype for entry in history] == [torch.float32] * 2


def test_the_history_of_one_network_survives(history):
    entries = deserialize_history(serialize_history(history, 1), history[0].population.network)
    for entry, before in zip(entries, history, strict=True):
        assert entry.step == before.step
        assert torch.equal(entry.population.flat, before.population.flat[1:2])
        assert torch.equal(entry.population.input_labels, before.population.input_labels[1:2])
        assert torch.equal(entry.population.output_labels, before.population.output_labels[1:2])


def test_a_history_is_a_population_with_a_row_per_entry(history):
    rows = deserialize_population(serialize_history(history, 2))
    assert torch.equal(rows.flat[1], 2 * rows.flat[0])


def test_data_without_a_history_are_refused():
    population = initialise(load_task("two_moons").network, [1])
    with pytest.raises(ValueError, match="that file holds no history: 'steps'"):
        deserialize_history(serialize_population(population), population.network, source="that file")
    with pytest.raises(ValueError, match="that file holds no population"):
        deserialize_history(b"nothing", population.network, source="that file")


def test_the_history_of_a_cohort_survives_on_disk(history, tmp_path):
    write_history(history, tmp_path / "history")
    again = read_history(tmp_path / "history", history[0].population.network)
    assert [entry.step for entry in again] == [entry.step for entry in history]
    for entry, before in zip(again, history, strict=True):
        assert torch.equal(entry.population.flat, before.population.flat)
        assert torch.equal(entry.population.input_labels, before.population.input_labels)


def test_without_a_folder_there_is_no_history(tmp_path):
    assert read_history(tmp_path / "history", load_task("two_moons").network) == ()


@given(st.integers(1, 60), st.integers(1, 200), st.integers(1, 3_000_000))
def test_the_chosen_steps_fit_and_include_the_last(n_points, networks, n_parameters):
    points = [7 * i for i in range(n_points + 1)]
    chosen = choose_history_steps(points, networks, n_parameters)
    assert chosen <= set(points)
    assert points[-1] in chosen
    assert len(chosen) == 1 or 4 * networks * n_parameters * len(chosen) <= MAX_BYTES
    assert len(chosen) == 1 or 4 * n_parameters * len(chosen) <= MAX_NETWORK_BYTES


def test_a_small_cohort_records_all_steps():
    assert choose_history_steps(range(0, 2100, 100), 64, 522) == frozenset(range(0, 2100, 100))
