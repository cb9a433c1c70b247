import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from bimt_core.modularity import Communities
from bimt_core.pictures.tasks.embedding_rings import _principal_components, _ring_step, plot_embedding_rings
from bimt_core.tasks import load_task


def on_a_ring(n, step):
    """Returns n points on a ring where each is next to the one `step` further."""
    angle = 2 * np.pi * np.arange(n) * pow(step, -1, n) / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_principal_components_are_those_of_scikit_learn():
    values = np.random.default_rng(0).standard_normal((59, 7)) * np.arange(1, 8)
    points, explained = _principal_components(values)
    pca = PCA(2).fit(values)
    np.testing.assert_allclose(np.abs(points), np.abs(pca.transform(values)), atol=1e-9)
    assert explained == pytest.approx(pca.explained_variance_ratio_.sum())


def test_principal_components_of_one_column_and_of_constants():
    points, explained = _principal_components(np.arange(5.0)[:, None])
    assert points[:, 1].tolist() == [0] * 5 and explained == pytest.approx(1)
    points, explained = _principal_components(np.ones((5, 3)))
    assert np.abs(points).max() < 1e-12 and explained == 0


@pytest.mark.parametrize("step", [1, 7, 28])
def test_the_step_of_a_ring_is_found(step):
    assert _ring_step(on_a_ring(59, step)) == step


def test_each_community_shows_its_own_columns(sparse, read_texts):
    task = load_task("modular_addition")
    population = sparse(task)
    given = Communities(
        0.5, (frozenset({("hidden1", 0)}), frozenset({("input", p) for p in (3, 5, 9)}), frozenset({("input", 0)}))
    )
    figure = plot_embedding_rings(population, task, communities=given)
    values = population.tensors["embedding"][0].numpy()
    for axes, number, places in zip(figure.axes, (1, 2), ([3, 5, 9], [0]), strict=True):
        (dots,) = (artist for artist in axes.collections if artist.get_gid() == f"community{number}")
        np.testing.assert_allclose(
            np.asarray(dots.get_offsets()), _principal_components(values[:, places])[0], atol=1e-12
        )
        assert axes.get_title(loc="left") == f"community {number + 1}"
    texts = read_texts(figure)
    assert any(text.startswith("3 neurons, ") and "% of the variance, step" in text for text in texts)
    assert any(text.startswith("1 neuron, 100 %") for text in texts)
    (steps,) = (artist for artist in figure.axes[0].collections if artist.get_gid() == "steps")
    assert len(steps.get_segments()) == 59  # all tokens are joined


def test_labels_are_at_their_tokens(sparse):
    task = load_task("modular_addition")
    population = sparse(task)
    population.tensors["embedding"][0, :, :2] = torch.from_numpy(on_a_ring(59, 3))
    figure = plot_embedding_rings(
        population, task, communities=Communities(0.0, (frozenset({("input", 0), ("input", 1)}),))
    )
    (axes,) = figure.axes
    points, _ = _principal_components(on_a_ring(59, 3))
    for text in axes.texts:
        np.testing.assert_allclose(text.xy, points[int(text.get_text())], atol=1e-9)
    assert len(axes.texts) == 59


def test_tokens_at_one_position_share_a_label(sparse, read_texts):
    task = load_task("permutation_s4")
    population = sparse(task)
    population.tensors["embedding"][0, :, 0] = torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat_interleave(12)
    figure = plot_embedding_rings(population, task, communities=Communities(0.0, (frozenset({("input", 0)}),)))
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert labels == ["0123\n0132\n+10", "2013\n2031\n+10"] or labels[::-1] == ["0123\n0132\n+10", "2013\n2031\n+10"]
    assert not any("step" in text for text in read_texts(figure))


@pytest.mark.parametrize(("value", "message"), [(torch.nan, "weights not finite"), (0.0, "no active weight")])
def test_networks_that_cannot_be_drawn_have_a_message(sparse, read_texts, value, message):
    task = load_task("modular_addition")
    population = sparse(task)
    population.flat[:] = value
    assert message in read_texts(plot_embedding_rings(population, task))


def test_communities_without_inputs_have_a_message(sparse, read_texts):
    task = load_task("modular_addition")
    figure = plot_embedding_rings(sparse(task), task, communities=Communities(0.0, (frozenset({("hidden1", 0)}),)))
    assert "no community has input neurons" in read_texts(figure)


def test_a_task_without_tokens_is_rejected(sparse):
    with pytest.raises(ValueError, match="needs tokens with a trainable embedding, task 'independence' has none"):
        plot_embedding_rings(sparse(load_task("independence")), load_task("independence"))
