"""`fetch` against a local server: whole, cached, cut off and resumed, wrong, absent."""

import dataclasses
import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from flax import nnx

from jaxcnn import nn, weights
from jaxcnn.weights import WeightFileError

DATA = np.random.default_rng(0).bytes(700_001)
CARD = weights.card("cifar_resnet20.idelbayev")


@contextmanager
def serving(data=DATA, *, give=None, ranges=True):
    """A server of `data` at any path but /none; `give` bytes an answer at most. Yields its address and what was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers.get("Range"))
            start = int(asked[-1].removeprefix("bytes=").rstrip("-")) if asked[-1] and ranges else 0
            if self.path == "/none" or start >= len(data):
                return self.send_error(404 if self.path == "/none" else 416)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + (give or len(data))])

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def card_of(url, data=DATA):
    return dataclasses.replace(CARD, url=url, sha256=hashlib.sha256(data).hexdigest()[:8])


def test_fetch_brings_a_file_once(tmp_path):
    heard = []
    with serving() as (address, asked):
        card = card_of(f"{address}/a.npz?x=1")
        first = weights.fetch(card, cache=tmp_path / "new", on_bytes=lambda *bytes: heard.append(bytes))
        assert weights.fetch(card, cache=tmp_path / "new") == first == tmp_path / "new/a.npz"
    assert first.read_bytes() == DATA
    assert asked == [None]
    assert heard[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert len(heard) > 1


def test_fetch_brings_a_file_again_that_was_damaged_in_the_cache(tmp_path):
    with serving() as (url, asked):
        path = weights.fetch(card_of(f"{url}/w.npz"), cache=tmp_path)
        path.write_bytes(DATA[:-1])
        assert weights.fetch(card_of(f"{url}/w.npz"), cache=tmp_path).read_bytes() == DATA
    assert len(asked) == 2


def test_fetch_goes_on_where_it_was_cut_off(tmp_path):
    with serving(give=300_000) as (address, asked):
        card = card_of(f"{address}/a.npz")
        with pytest.raises(WeightFileError, match=r"was cut off at 300,000 of 700,001 bytes; the next call goes on"):
            weights.fetch(card, cache=tmp_path)
        with pytest.raises(WeightFileError, match="cut off at 600,000 of 700,001"):
            weights.fetch(card, cache=tmp_path)
        assert weights.fetch(card, cache=tmp_path).read_bytes() == DATA
    assert asked == [None, "bytes=300000-", "bytes=600000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(("have", "ranges"), [(DATA[:5000], False), (DATA, True)])
def test_fetch_of_a_part(have, ranges, tmp_path):
    (tmp_path / "a.npz.part").write_bytes(have)
    with serving(ranges=ranges) as (address, _):
        assert weights.fetch(card_of(f"{address}/a.npz"), cache=tmp_path).read_bytes() == DATA


def test_fetch_refuses_a_wrong_sha256_and_keeps_nothing(tmp_path):
    with serving(DATA[::-1]) as (address, _):
        with pytest.raises(WeightFileError, match=r"the sha256 of .*a.npz.part is [0-9a-f]{64}; it must begin with"):
            weights.fetch(card_of(f"{address}/a.npz"), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fetch_without_a_server(tmp_path):
    with serving() as (address, _):
        with pytest.raises(WeightFileError, match="none: the server says 404"):
            weights.fetch(card_of(f"{address}/none"), cache=tmp_path)
    with pytest.raises(WeightFileError, match="without a network give the path of the file"):
        weights.fetch(card_of(f"{address}/a.npz"), cache=tmp_path)


def test_load_takes_a_card(tmp_path, monkeypatch):
    model = nn.Dense(3, 4, rngs=nnx.Rngs(1))
    weights.save(model, tmp_path / "a.safetensors", names="pytorch")
    data = (tmp_path / "a.safetensors").read_bytes()
    monkeypatch.setenv("JAXCNN_CACHE", str(tmp_path / "cache"))
    with serving(data) as (address, _):
        loaded = weights.load(nn.Dense(3, 4, rngs=nnx.Rngs(2)), card_of(f"{address}/b.safetensors", data))
    np.testing.assert_array_equal(loaded.kernel[...], model.kernel[...])
    assert (tmp_path / "cache/b.safetensors").exists()


def test_load_takes_a_url(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXCNN_CACHE", str(tmp_path / "cache"))
    layer, file = nn.Dense(2, 3, rngs=nnx.Rngs(0)), tmp_path / "layer.safetensors"
    weights.save(layer, file)
    blank = lambda: nn.Dense(2, 3, rngs=nnx.Rngs(1))
    with serving(file.read_bytes()) as (address, asked):
        for _ in range(2):
            np.testing.assert_array_equal(
                weights.load(blank(), f"{address}/layer.safetensors").kernel[...], layer.kernel[...]
            )
        assert len(asked) == 1
        weights.load(blank(), f"{address}/other/layer.safetensors")  # another file may have the same ending
        assert len(asked) == 2
        with pytest.raises(WeightFileError, match="the sha256 of .* must begin with 'abc'"):
            weights.load(blank(), f"{address}/third.safetensors", sha256="abc")
        weights.load(blank(), f"{address}/third.safetensors", sha256=weights.sha256_of(file)[:10].upper())
        with pytest.raises(WeightFileError, match="the server says 404"):
            weights.load(blank(), f"{address}/none")
