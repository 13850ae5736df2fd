"""`what_units_see` and `receptive_field`: their numbers by hand, and a small run."""

import re

import numpy as np
import pytest

pytest.importorskip("tyro")
pytest.importorskip("sklearn")


def test_orientation_of_edges_a_plaid_and_a_dot():
    from experiments.what_units_see import oriented

    edge, dot = np.array([[1.0, 0, -1]] * 3), np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
    stripes = np.cos(np.pi / 2 * np.arange(8))[None] * np.ones((8, 1))
    small = oriented(np.stack([edge, edge.T, dot], -1)[:, :, None])
    large = oriented(np.stack([stripes, stripes + stripes.T], -1)[:, :, None])
    assert small[0] == pytest.approx(small[1])
    assert small[0] > 0.5
    assert small[2] < 1e-6
    assert large[0] > 0.8
    assert large[1] < 0.05  # not 0: the spectrum is cut at half a cycle a pixel


@pytest.mark.parametrize(("cycles", "axis"), [(0.25, 1), (0.125, 2), (0.5, 2)])
def test_frequency_of_a_wave(cycles, axis):
    from experiments.what_units_see import frequency

    wave = np.cos(2 * np.pi * cycles * np.arange(16))
    images = 3 + np.moveaxis(wave[:, None] * np.ones((2, 1, 16, 1)), 1, axis)
    assert frequency(np.asarray(images)) == pytest.approx(cycles)


def test_share_of_one_class():
    from experiments.what_units_see import of_one_class

    assert of_one_class(np.array([[3, 3, 3, 1], [0, 1, 2, 2], [5, 5, 5, 5]])) == pytest.approx(0.75)


def test_stacks_see_as_much_as_they_are_said_to():
    from flax import nnx

    from experiments.receptive_field import STACKS, Stack
    from jaxcnn.interpret import summarise

    for name, steps in STACKS.items():
        built = nnx.eval_shape(lambda steps=steps: Stack(steps, 3, 10, 4, rngs=nnx.Rngs(0)))
        rows = {row.name: row for row in summarise(built, (1, 32, 32, 3)).rows}
        assert rows[f"conv{len(steps)}"].field.size == (17, 17), name


def test_receptive_field_says_a_line_and_draws(tmp_path, capsys):
    from experiments import receptive_field

    options = {
        "train_images": 40,
        "test_images": 20,
        "epochs": 1,
        "batch_size": 20,
        "seeds": 1,
        "images": 2,
        "width": 2,
    }
    receptive_field.main(receptive_field.Config(dataset="digits", only=("two_9x9",), runs=tmp_path, **options))
    line = r"receptive_field/two_9x9 field 17, effective side (\d+\.\d) ± 0.0 before and (\d+\.\d) ± 0.0 after training"
    before, after = re.search(line, capsys.readouterr().out).groups()
    assert all(4 < float(side) < 17 for side in (before, after))
    (folder,) = (tmp_path / "receptive_field").iterdir()
    assert (folder / "report.html").read_text().count("data:image/png") == 2


def test_receptive_field_refuses_an_unknown_stack(tmp_path):
    from experiments import receptive_field

    with pytest.raises(ValueError, match="two_9x9"):
        receptive_field.main(receptive_field.Config(only=("one_17x17",), runs=tmp_path))
