"""Folders of pictures: every kind of file becomes upright RGB of one size; what cannot be read is skipped or refused."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import UnreadableImage, decode, load, split_folders

RED, BLUE = (220, 30, 40), (20, 40, 210)


def halves(size=(12, 8)):
    """Red above, blue below; (width, height)."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (0, size[1] // 2, *size))
    return picture


def encoded(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def rotated():
    """The upright picture lies on its side in the file, and EXIF orientation 6 says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(halves().rotate(90, expand=True), "jpeg", exif=exif, quality=95)


def clear():
    """The lower half transparent."""
    picture = halves().convert("RGBA")
    picture.putalpha(Image.fromarray(np.repeat([255, 0], 4).astype(np.uint8)[:, None].repeat(12, 1)))
    return picture


DEEP = Image.fromarray((np.repeat([65535, 257], 4)[:, None].repeat(12, 1)).astype(np.uint16))
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
KINDS = {  # the colour above, the colour below
    "jpeg": (encoded(halves(), "jpeg", quality=95), RED, BLUE),
    "png": (encoded(halves(), "png"), RED, BLUE),
    "bmp": (encoded(halves(), "bmp"), RED, BLUE),
    "gif": (encoded(halves(), "gif"), RED, BLUE),
    "cmyk": (encoded(halves().convert("CMYK"), "jpeg", quality=95), RED, BLUE),
    "grey": (encoded(halves().convert("L"), "png"), (88,) * 3, (53,) * 3),
    "16 bits": (encoded(DEEP, "png"), WHITE, (1, 1, 1)),
    "black and white": (
        encoded(halves().convert("L").point(lambda v: 255 * (v > 70)).convert("1"), "png"),
        WHITE,
        BLACK,
    ),
    "exif": (rotated(), RED, BLUE),
    "rgba": (encoded(clear(), "png"), RED, WHITE),
    "grey and alpha": (encoded(clear().convert("LA"), "png"), (88,) * 3, WHITE),
    "palette": (encoded(halves().quantize(4), "png"), RED, BLUE),
    "clear palette": (
        encoded(halves().quantize(2), "png", transparency=halves().quantize(2).getpixel((0, 7))),
        RED,
        WHITE,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_decode_makes_upright_rgb(kind):
    data, above, below = KINDS[kind]
    pixels = decode(data)
    assert (pixels.shape, pixels.dtype) == ((8, 12, 3), np.uint8)
    np.testing.assert_allclose(pixels[:2].astype(int), np.broadcast_to(above, (2, 12, 3)), atol=12)
    np.testing.assert_allclose(pixels[-2:].astype(int), np.broadcast_to(below, (2, 12, 3)), atol=12)


def test_decode_makes_grey():
    assert decode(KINDS["png"][0], channels=1).shape == (8, 12, 1)


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        ("crop", [RED[0], RED[0], BLUE[0], BLUE[0]]),
        ("stretch", [RED[0], RED[0], BLUE[0], BLUE[0]]),
        ("pad", [0, RED[0], BLUE[0], 0]),
    ],
)
def test_decode_resizes_by_the_rule(rule, row):
    wide = encoded(halves((16, 8)), "png")
    pixels = decode(wide, size=(4, 4), resize=rule)
    assert pixels.shape == (4, 4, 3)
    np.testing.assert_allclose(pixels[:, 2, 0].astype(int), row, atol=30)


@pytest.mark.parametrize("cut", [0, 2, 300])
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_decode_refuses_what_is_cut_short(kind, cut):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(UnreadableImage, match="decode: "):
        decode(data[: min(cut, len(data) // 2)])


@pytest.fixture
def pets(tmp_path):
    """Three kinds of picture in two classes, train and test; files that are no pictures lie about."""
    for part, names in (("train", ("jpeg", "png", "cmyk", "grey")), ("test", ("exif", "rgba"))):
        for number, label in enumerate(("cat", "dog")):
            folder = tmp_path / "pets" / part / label
            folder.mkdir(parents=True)
            for i, name in enumerate(names):
                (folder / f"{i}.{'png' if number else 'JPG'}").write_bytes(KINDS[name][0])
            (folder / "notes.txt").write_text("not a picture")
            (folder / ".hidden.jpg").write_bytes(b"")
    return tmp_path / "pets"


def test_load_reads_a_folder(pets):
    data = load(pets, image_size=(6, 5))
    assert data.class_names == ("cat", "dog")
    assert data.train.images.shape == (8, 6, 5, 3)
    np.testing.assert_array_equal(data.train.labels, [0] * 4 + [1] * 4)
    np.testing.assert_array_equal(data.test.labels, [0, 0, 1, 1])
    assert data.skipped == ()
    assert (data.train.images[:3, 0, :, 0] > data.train.images[:3, -1, :, 0]).all()
    np.testing.assert_array_equal(load(str(pets), image_size=(6, 5), split="test").images, data.test.images)
    assert load(pets, image_size=(6, 5), channels=1).image_shape == (6, 5, 1)


@pytest.mark.parametrize("names", [("Training", "Testing"), ("TRAIN", "valid"), ("training", "val")])
def test_load_knows_other_names_of_the_parts(pets, names):
    expected = load(pets, image_size=6)
    for old, new in zip(("train", "test"), names):
        (pets / old).rename(pets / f"{new}_").rename(pets / new)
    data = load(pets, image_size=6)
    assert data.class_names == ("cat", "dog")
    np.testing.assert_array_equal(data.test.images, expected.test.images)
    np.testing.assert_array_equal(load(pets, image_size=6, split=names[1]).images, expected.test.images)


def test_load_tests_on_test_where_there_is_a_validation_too(pets):
    (pets / "test").rename(pets / "validation")
    validation = load(pets, image_size=6).test
    shutil.copytree(pets / "train", pets / "Testing")
    data = load(pets, image_size=6)
    assert (len(data.test), len(validation)) == (8, 4)
    np.testing.assert_array_equal(data.test.images, data.train.images)
    np.testing.assert_array_equal(load(pets, image_size=6, split="validation").images, validation.images)
    assert list(split_folders(pets)) == ["train", "test", "validation"]


def test_load_refuses_parts_that_are_two_or_no_train(pets):
    (pets / "Training").mkdir()
    with pytest.raises(ValueError, match="has the folders Training and train; which one is 'train'"):
        load(pets)
    (pets / "Training").rmdir()
    (pets / "train").rename(pets / ".train")
    with pytest.raises(ValueError, match="has the folder test and none called train"):
        load(pets)
    with pytest.raises(ValueError, match="test_folder.py' is a file, not a folder"):
        load(__file__)


def test_load_divides_a_folder_of_classes_alone(pets):
    data = load(pets / "train", image_size=6, test_share=0.25)
    assert (len(data.train), len(data.test)) == (6, 2)
    np.testing.assert_array_equal(np.bincount(data.test.labels), [1, 1])


def test_load_skips_what_it_cannot_read_and_says_so(pets):
    (pets / "train/cat/empty.jpg").write_bytes(b"")
    (pets / "train/cat/cut.jpg").write_bytes(KINDS["jpeg"][0][:200])
    (pets / "train/dog/text.png").write_bytes(b"text")
    with pytest.warns(
        UserWarning, match=r"load: 3 of 11 images cannot be read: .*cut.jpg: .*empty.jpg: the file is empty"
    ):
        data = load(pets, image_size=6)
    np.testing.assert_array_equal(data.train.labels, [0] * 4 + [1] * 4)
    assert len(data.skipped) == 3
    assert "text.png: it is no picture" in data.skipped[2]
    with pytest.raises(ValueError, match="load: 3 of 11 images cannot be read: .*strict=False"):
        load(pets, image_size=6, strict=True)


def test_load_counts_files_of_unknown_endings(pets):
    (pets / "train/cat/old.jfif").write_bytes(encoded(halves(), "jpeg"))
    (pets / "train/cat/no_ending").write_bytes(encoded(halves(), "png"))
    (pets / "train/cat/film.mp4").write_bytes(b"no picture")
    (pets / "train/cat/labels.txt").write_text("lies beside them")
    with pytest.warns(UserWarning, match=r"film\.mp4: it is no picture"):
        data = load(pets, image_size=8)
    assert [line for line in data.skipped if "film.mp4" in line]
    before = len(list((pets / "train").rglob("*.JPG"))) + len(list((pets / "train").rglob("*.png")))
    assert len(data.train) >= before + 2 - len(data.skipped)
    assert not [line for line in data.skipped if "labels.txt" in line or "old.jfif" in line or "no_ending" in line]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 128, 255]], np.int32), [0, 128, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
        (np.array([[0, 257, 65535]], np.uint16), [0, 1, 255]),
    ],
)
def test_decode_brings_wide_numbers_to_8_bits(pixels, expected):
    assert decode(encoded(Image.fromarray(pixels), "tiff"), channels=1).ravel().tolist() == expected


@pytest.mark.parametrize("pixels", [np.array([[0, 300]], np.float32), np.array([[-1, 5]], np.int32)])
def test_decode_refuses_numbers_that_are_no_colours(pixels):
    with pytest.raises(UnreadableImage, match="decode: its (floats|numbers) run from .* to "):
        decode(encoded(Image.fromarray(pixels), "tiff"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": "fit"}, "decode: resize='fit', channels=3; use"),
        ({"channels": 4}, "channels=4; use"),
        ({"size": 0}, "size=0"),
    ],
)
def test_decode_refuses_options(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        decode(encoded(halves(), "png"), **options)
    assert not isinstance(caught.value, UnreadableImage)


def spoil(folder, what):
    """One fault in the folder."""
    if what == "class without an image":
        (folder / "train/bird").mkdir()
    if what == "class with no readable image":
        for file in (folder / "train/cat").glob("*.JPG"):
            file.write_bytes(b"")
    if what == "single class":
        (folder / "train/dog").rename(folder / "train/.dog")
    if what == "class that train has not":
        (folder / "test/bird").mkdir()
    if what == "class that test has not":
        (folder / "test/dog").rename(folder / "test/.dog")
    if what == "odd sizes":
        (folder / "train/cat/tall.png").write_bytes(encoded(halves((5, 9)), "png"))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("class without an image", "load: the class folder .*bird has no image; put .avif"),
        ("class with no readable image", "load: no image of the class folder .*cat can be read: .*is empty"),
        ("single class", r"load: .*train has 1 class folder \['cat'\]; there must be two"),
        ("class that train has not", "load: .*test has the class folder 'bird', which train has not: cat, dog"),
        ("class that test has not", "load: the class folder .*test/dog has no image"),
        ("odd sizes", r"load: the images are 8 to 9 pixels high and 5 to 12 wide; give image_size"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_load_refuses_a_folder(pets, what, message):
    spoil(pets, what)
    with pytest.raises(ValueError, match=message) as caught:
        load(pets)
    assert "\n" not in str(caught.value)


def test_load_reads_photographs(shared):
    images = shared / "data/cats_dogs"
    data = load(images, image_size=32)
    assert data.class_names == ("cat", "dog")
    assert len(data.train) + len(data.test) == 100
    assert data.train.images.std() > 30
