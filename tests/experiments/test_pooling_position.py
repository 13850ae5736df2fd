"""`pooling_position` and `shuffled_parts`: places, read-outs and shuffled parts by hand, and a run on the digits."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn.data import Split, load
from jaxcnn.interpret import capture

pytest.importorskip("tyro")
pytest.importorskip("sklearn")


def test_placed_keeps_every_item_and_knows_its_centre():
    from experiments.pooling_position import placed

    images = np.random.default_rng(0).integers(1, 256, (40, 28, 30, 1), np.uint8)
    split, centres = placed(Split(images, np.zeros(40, np.int32)), 20, 3)
    assert split.images.shape == (40, 20, 20, 1)
    for image, on_canvas, (y, x) in zip(images, split.images, centres):
        top, left = int(y - 7), int(x - 7.5)
        item = image.reshape(14, 2, 15, 2, 1).mean((1, 3)).round()
        np.testing.assert_array_equal(on_canvas[top : top + 14, left : left + 15], item)
        assert np.count_nonzero(on_canvas) == np.count_nonzero(item)
    assert (centres.min(0).tolist(), centres.max(0).tolist()) == ([7, 7.5], [13, 12.5])
    with pytest.raises(ValueError, match="canvas=14 is smaller than an item of 14 × 15 pixels"):
        placed(Split(images, np.zeros(40, np.int32)), 14, 0)


def test_read_out_of_a_dot_is_exact():
    from experiments.pooling_position import distance, read_out

    places = np.random.default_rng(0).integers(0, 6, (300, 2))
    maps = np.zeros((300, 6, 6, 2))
    maps[np.arange(300), places[:, 0], places[:, 1], 1] = 3
    assert distance(read_out(maps, places[:250] + 0.5), places[250:] + 0.5) < 1e-3
    halved = maps.reshape(300, 3, 2, 3, 2, 2).max((2, 4))  # of a cell of 2 × 2 pixels only its middle is known
    middles = places[250:] // 2 * 2 + 1.0
    np.testing.assert_allclose(read_out(halved, places[:250] + 0.5), middles, atol=0.25)
    nothing = read_out(np.ones((300, 4)), places[:250] + 0.5)
    np.testing.assert_allclose(nothing, np.tile(places[:250].mean(0) + 0.5, (50, 1)))


def test_cell_alone_leaves_what_lies_within_a_cell():
    from experiments.pooling_position import cell_alone, distance

    points = np.random.default_rng(0).uniform(0, 8, (4000, 2))
    assert cell_alone(points, 4) == pytest.approx(0.3826 * 4, rel=0.02)  # mean distance from the middle of a square
    assert cell_alone(points, 8) == pytest.approx(distance(np.tile(points.mean(0), (4000, 1)), points))


@pytest.mark.parametrize("parts", [2, 4])
def test_shuffle_parts_moves_parts_whole(parts):
    from experiments.shuffled_parts import shuffle_parts

    images = np.random.default_rng(0).integers(0, 256, (50, 8, 12, 3), np.uint8)
    moved = shuffle_parts(images, parts, 0)
    cut = lambda image: sorted(
        block.tobytes() for row in np.split(image, parts) for block in np.split(row, parts, axis=1)
    )  # fmt: skip
    assert [cut(image) for image in moved] == [cut(image) for image in images]
    assert (moved != images).any((1, 2, 3)).all()
    np.testing.assert_array_equal(moved, shuffle_parts(images, parts, 0))
    orders = {shuffle_parts(np.arange(16).reshape(1, 4, 4, 1), parts, seed).tobytes() for seed in range(20)}
    assert len(orders) > 5


def test_shuffle_parts_refuses_uneven_parts():
    from experiments.shuffled_parts import shuffle_parts

    with pytest.raises(ValueError, match="images of 30 × 28 pixels cannot be cut into 4 × 4 equal parts"):
        shuffle_parts(np.zeros((1, 30, 28, 1)), 4, 0)


def test_network_differs_in_its_halvings_alone():
    from experiments.shuffled_parts import HALVINGS, HEADS, Network

    data, x = load("digits"), jnp.ones((2, 8, 8, 1))
    made_for = {"size": 8, "width": 3, "stages": 3, "halved": 2}
    count = lambda model: sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    sizes, counts = {}, set()
    for halving in HALVINGS:
        model = Network(data, halving, "global_mean", **made_for, rngs=nnx.Rngs(0))
        logits, found = capture(model, x)
        sizes[halving] = [found[f"stage_{i}"].shape[1] for i in (1, 2, 3)]
        assert (logits.shape, found["global_mean"].reshape(2, -1).shape) == ((2, 10), (2, 3))
        counts.add(count(model))
    assert sizes == {"none": [8, 8, 8]} | dict.fromkeys(("stride", "max", "average", "blur"), [4, 2, 2])
    assert len(counts) == 1
    shapes = {head: Network(data, "max", head, **made_for, rngs=nnx.Rngs(0)).logits.kernel.shape for head in HEADS}
    assert shapes == {"global_mean": (3, 10), "global_maximum": (3, 10), "dense": (12, 10)}


def test_pooling_position_says_its_lines(tmp_path, capsys, monkeypatch):
    from experiments import pooling_position, shuffled_parts

    for module in (pooling_position, shuffled_parts):
        monkeypatch.setattr(module, "HALVINGS", {"max": shuffled_parts.HALVINGS["max"]})
    monkeypatch.setattr(shuffled_parts, "HEADS", {"global_mean": shuffled_parts.HEADS["global_mean"]})
    config = pooling_position.Config(
        dataset="digits", train_images=100, test_images=50, read_images=100, seeds=2, canvas=12, width=4, stages=2, epochs=1,
        runs=tmp_path,
    )  # fmt: skip
    pooling_position.main(config)
    printed = capsys.readouterr().out
    for kind in ("random", "trained"):
        line = rf"pooling_position/max_{kind} error in pixels: (.*), a_guess (\d\.\d\d) ± 0\.00"
        errors, guess = re.search(line, printed).groups()
        found = {name: float(value) for name, value in re.findall(r"(\w+) (\d\.\d\d) ±", errors)}
        assert list(found) == ["pixels", "stage_1", "stage_2", "global_mean"]
        assert found["stage_1"] < 0.8 * float(guess)
    shares = r"same answer (\d\.\d\d) ± \d\.\d\d, right (\d\.\d\d) ± \d\.\d\d"
    line = rf"pooling_position/shuffled_global_mean test accuracy 0\.\d+ ± .*2 × 2 parts shuffled: {shares}; 4 × 4 .*{shares}"
    assert all(0 <= float(share) <= 1 for share in re.search(line, printed).groups())
    (folder,) = (tmp_path / "pooling_position").iterdir()
    assert (folder / "report.html").read_text().count("data:image/png") == 5
