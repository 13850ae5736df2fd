"""`benchmarks.attributions`: both sides make one map, a wrong one is refused, a record says what was measured."""

import io
import json

import pytest

from benchmarks import attributions as bench
from benchmarks.machine import Machine
from benchmarks.record import write

MACHINE = Machine("a cpu", "cpu", 2, "3.11", "0.10", "0.10", None, "", "abc", 100.0)
pytestmark = pytest.mark.filterwarnings("ignore")  # captum warns of what it sets itself


@pytest.fixture
def small(monkeypatch):
    """An image of 51 pixels, four windows, three masks."""
    pytest.importorskip("captum")
    model_torch = pytest.importorskip("benchmarks.model_torch")
    try:
        model_torch.torchvision_models()
    except ImportError as error:
        pytest.skip(str(error))
    for name, value in {"SIDE": 51, "WINDOW": 30, "STRIDE": 21, "STEPS": 2, "BATCH": 2}.items():
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setitem(bench.LIKELY, "masks", 3)
    bench._torch_masks.cache_clear()
    yield
    bench._torch_masks.cache_clear()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["occlusion", "rise", "grad_cam"])
def test_rivals_make_the_same_map(name):
    wrong, row = [], bench.rows()[name]
    (record,) = bench.measure(
        name, row, bench._model(None), bench._image(None), bench.Options(quick=True), MACHINE, wrong
    )
    assert wrong == []
    assert set(record.runs) == {"ours", *row.rivals}
    assert record.work == {"occlusion": 4, "rise": 3, "grad_cam": 1}[name]
    file = io.StringIO()
    write(file, record)
    assert json.loads(file.getvalue())["benchmark"] == "attributions"


@pytest.mark.usefixtures("small")
def test_a_wrong_map_is_not_timed():
    row, wrong = bench.rows()["occlusion"], []
    right = row.rivals["captum"]
    doubled = {"captum": lambda network, x: 2 * right(network, x)}
    row = bench.Row(row.ours, doubled, row.images)
    (record,) = bench.measure(
        "x", row, bench._model(None), bench._image(None), bench.Options(quick=True), MACHINE, wrong
    )
    assert list(record.runs) == ["ours"]
    assert "captum: error" in wrong[0]


def test_an_unknown_method_is_named():
    with pytest.raises(SystemExit, match="there is no method 'shap'; use occlusion, rise"):
        bench.main(bench.Options(select=("shap",)))
