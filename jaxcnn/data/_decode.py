"""From an encoded picture to uint8 pixels of one size.

Every picture becomes upright (its EXIF orientation is obeyed) and RGB or grey: palettes and CMYK are converted, 16-bit grey is
scaled to 8, as are floats from 0 to 1, what is transparent on white. Resize rules, all by Pillow's antialiased bilinear filter:

    crop      the short side to the size, then the middle: nothing is distorted, the ends of the long side are lost
    pad       the long side to the size, then black bars: nothing is lost
    stretch   both sides to the size
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from jaxcnn.geometry import per_axis

RULES = ("crop", "pad", "stretch")
WIDE = ("I;16", "I;16B", "I;16L", "I")


class UnreadableImage(ValueError):
    """A file that holds no picture that can be read; the text says which and why.

    >>> decode(b"")
    Traceback (most recent call last):
    ...
    jaxcnn.data._decode.UnreadableImage: decode: the file is empty
    """


def decode(
    picture: str | Path | bytes, *, size: int | tuple[int, int] | None = None, resize: str = "crop", channels: int = 3
) -> UInt8[np.ndarray, "h w c"]:
    """The pixels of an encoded picture, given as its path or its bytes.

    Args:
        size: height and width of the result; None keeps the picture's own.
        resize: "crop", "pad" or "stretch".
        channels: 3 for RGB, 1 for grey.

    Raises: UnreadableImage, a ValueError, for what is empty, cut short, no picture, or has numbers that are no colours;
        ValueError for a rule or a number of channels that there is not.

    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("CMYK", (6, 4)).save(file, "jpeg")
    >>> decode(file.getvalue(), size=(2, 2)).tolist()[0][0]
    [255, 255, 255]
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if resize not in RULES or channels not in (1, 3):
        raise ValueError(f'decode: resize={resize!r}, channels={channels}; use "crop", "pad" or "stretch", and 3 or 1')
    if size is not None:
        h, w = per_axis(size, 2, what="size", name="decode", least=1)
        size = h, w
    where = "decode" if isinstance(picture, bytes) else str(picture)
    try:
        data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
        if not data:
            raise UnreadableImage(f"{where}: the file is empty")
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return fitted(_colours(ImageOps.exif_transpose(image), channels), size, resize)
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(f"{where}: it is no picture of a kind that Pillow knows") from None
    except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, …
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UnreadableImage(f"{where}: {reason}") from None


def fitted(image: Any, size: tuple[int, int] | None, resize: str) -> UInt8[np.ndarray, "h w c"]:
    """A Pillow image, or uint8 pixels `(h, w, c)`, brought to the size.

    >>> fitted(np.zeros((4, 8, 3), np.uint8), (2, 2), "pad").shape
    (2, 2, 3)
    """
    from PIL import Image, ImageOps

    if isinstance(image, np.ndarray):
        image = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    if size is not None and image.size != size[::-1]:
        to, smooth = (size[1], size[0]), Image.Resampling.BILINEAR
        if resize == "crop":
            image = ImageOps.fit(image, to, smooth)
        elif resize == "pad":
            image = ImageOps.pad(image, to, smooth)
        else:
            image = image.resize(to, smooth)
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _narrowed(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Grey of 16 or 32 bits, or floats from 0 to 1, as uint8.

    Raises: ValueError if the numbers are no colours of that kind.
    """
    low, high = (pixels.min(), pixels.max()) if pixels.size else (0, 0)
    if mode == "F":
        if not 0 <= low <= high <= 1:
            raise ValueError(f"its floats run from {low:g} to {high:g}; bring them to [0, 1], or save 8 or 16 bits")
        return np.round(pixels * 255).astype(np.uint8)
    most = 255 if mode == "I" and high <= 255 else 65535
    if not 0 <= low <= high <= most:
        raise ValueError(f"its numbers run from {low} to {high}; they must be from 0 to 65535")
    return (pixels.astype(np.int64) // (most // 255)).astype(np.uint8)


def _colours(image: Any, channels: int) -> Any:
    from PIL import Image

    if image.mode in WIDE or image.mode == "F":
        image = Image.fromarray(_narrowed(np.asarray(image), image.mode))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")
