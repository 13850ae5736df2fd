"""`python -m jaxcnn units` on random weights."""

import numpy as np
import pytest
from PIL import Image

from jaxcnn import commands


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 36, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_units_writes_a_page_and_a_picture(resnet, pictures, tmp_path, capsys):
    page, picture = tmp_path / "units.html", tmp_path / "units.png"
    arguments = ["--weights", str(resnet[1]), "--model", "cifar_resnet20", "--layer", "layer2.*", "--units", "3", "30"]
    arguments += [
        "--dataset",
        str(pictures),
        "--examples",
        "4",
        "--steps",
        "2",
        "--page",
        str(page),
        "--picture",
        str(picture),
    ]
    commands.main(["units", *arguments])
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith("layer2.2 channel")]
    assert [line.split()[2] for line in lines] == ["3:", "30:"]
    values = [float(one) for one in lines[0].partition("examples ")[2].split(", ")]
    assert len(values) == 4
    assert values == sorted(values, reverse=True)
    assert "broken.png" in printed
    assert "What layer2.2 of cifar_resnet20 sees" in page.read_text()
    with Image.open(picture) as drawn:
        assert drawn.width > 800


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--layer", "layer9"], "nearest"),
        (["--layer", "conv1", "--units", "16"], "use 0 to 15"),
        (["--layer", "conv1", "--examples", "0"], "examples=0"),
        (["--layer", "conv1", "--page", "nowhere/units.html"], "does not exist"),
        (["--layer", "conv1", "--picture", "units.xyz"], "no kind of picture"),
        (["--layer", "conv1", "--dataset", "./nowhere"], "nowhere"),
    ],
)
def test_units_refuses_in_one_line(resnet, tmp_path, monkeypatch, wrong, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        commands.main(["units", "--weights", str(resnet[1]), "--model", "cifar_resnet20", "--steps", "1", *wrong])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_units_with_more_examples_than_pictures(resnet, pictures):
    arguments = ["--weights", str(resnet[1]), "--model", "cifar_resnet20", "--layer", "conv1"]
    with pytest.raises(SystemExit) as caught:
        commands.main(["units", *arguments, "--dataset", str(pictures), "--examples", "6"])
    assert str(caught.value) == "units: examples: k=6 of a data set of 5 images; take fewer"
