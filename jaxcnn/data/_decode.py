"""From an encoded picture to uint8 pixels of one size.

Every picture becomes upright (its EXIF orientation is obeyed) and RGB or grey: palettes and CMYK are converted, 16-bit grey is
scaled to 8, what is transparent is shown on white. Resize rules, all by Pillow's antialiased bilinear filter:

    crop      the short side to the size, then the middle: nothing is distorted, the ends of the long side are lost
    pad       the long side to the size, then black bars: nothing is lost
    stretch   both sides to the size
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

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
    picture: str | Path | bytes, *, size: tuple[int, int] | None = None, resize: str = "crop", channels: int = 3
) -> UInt8[np.ndarray, "h w c"]:
    """The pixels of an encoded picture, given as its path or its bytes.

    Args:
        size: height and width of the result; None keeps the picture's own.
        resize: "crop", "pad" or "stretch".
        channels: 3 for RGB, 1 for grey.

    Raises: UnreadableImage, a ValueError, for what is empty, cut short or no picture.

    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("CMYK", (6, 4)).save(file, "jpeg")
    >>> decode(file.getvalue(), size=(2, 2)).tolist()[0][0]
    [255, 255, 255]
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

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


def _colours(image: Any, channels: int) -> Any:
    from PIL import Image

    if image.mode in WIDE:
        pixels = np.asarray(image).astype(np.int64)
        image = Image.fromarray((np.clip(pixels, 0, 65535) // 257).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")
