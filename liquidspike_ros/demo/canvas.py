"""Drawing on a picture: colours, smooth text, rounded panels. RGB throughout."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
from matplotlib import get_data_path
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Picture = NDArray[np.uint8]

BACKGROUND: Colour = (11, 15, 20)
PANEL: Colour = (20, 26, 34)
INNER: Colour = (14, 19, 26)
LINE: Colour = (48, 58, 70)
FAINT: Colour = (96, 108, 122)
MUTED: Colour = (148, 160, 174)
TEXT: Colour = (232, 238, 245)
BLUE: Colour = (88, 166, 255)
ORANGE: Colour = (255, 166, 87)
GREEN: Colour = (86, 211, 100)
RED: Colour = (255, 107, 107)
VIOLET: Colour = (196, 148, 255)
CYAN: Colour = (86, 212, 221)

MODALITY: dict[str, Colour] = {
    'camera': BLUE, 'sensors': GREEN, 'imu': GREEN, 'lidar': ORANGE, 'audio': VIOLET,
}
PILLAR: dict[str, Colour] = {'red': (240, 72, 72), 'green': (72, 200, 88), 'blue': (84, 120, 255)}

SHIFT = 4  # sub-pixel bits of cv2's drawing functions


@lru_cache(maxsize=16)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(str(Path(get_data_path()) / 'fonts' / 'ttf' / name), size)


@lru_cache(maxsize=4096)
def _mask(text: str, size: int, bold: bool) -> NDArray[np.float32]:
    """Coverage ``[h, w, 1]`` in [0, 1] of a line of text; lines of a size are equally high."""
    font = _font(size, bold)
    ascent, descent = font.getmetrics()
    width = max(1, round(font.getlength(text)))
    image = Image.new('L', (width, ascent + descent))
    ImageDraw.Draw(image).text((0, 0), text, font=font, fill=255)
    return np.asarray(image, dtype=np.float32)[:, :, None] / 255.0


def text(picture: Picture, words: str, at: tuple[float, float], size: int = 13,
         colour: Colour = TEXT, *, bold: bool = False, align: float = 0.0) -> None:
    """Write one line.

    Args:
        picture: Drawn on, ``[H, W, 3]``.
        words: The line.
        at: x of the anchor and y of the line's middle, pixels.
        size: Of the font, pixels.
        colour: RGB.
        bold: Heavier letters.
        align: Where the anchor is in the line: 0 left end, 0.5 middle, 1 right end.
    """
    mask = _mask(words, size, bold)
    height, width = mask.shape[:2]
    left, top = round(at[0] - align * width), round(at[1] - height / 2)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, picture.shape[1]), min(top + height, picture.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = mask[y0 - top:y1 - top, x0 - left:x1 - left]
    below = picture[y0:y1, x0:x1]
    below[:] = (below + part * (np.array(colour, dtype=np.float32) - below)).astype(np.uint8)


def line(picture: Picture, points: NDArray[np.floating], colour: Colour,
         thickness: int = 1) -> None:
    """A smooth polyline through ``[N, 2]`` pixel positions."""
    if len(points) < 2:
        return
    fixed = np.round(np.asarray(points) * (1 << SHIFT)).astype(np.int32)
    cv2.polylines(picture, [fixed], False, colour, thickness, cv2.LINE_AA, SHIFT)


def polygon(picture: Picture, points: NDArray[np.floating], colour: Colour) -> None:
    """A filled polygon through ``[N, 2]`` pixel positions."""
    fixed = np.round(np.asarray(points) * (1 << SHIFT)).astype(np.int32)
    cv2.fillPoly(picture, [fixed], colour, cv2.LINE_AA, SHIFT)


def circle(picture: Picture, centre: tuple[float, float], radius: float, colour: Colour,
           thickness: int = -1) -> None:
    """A smooth circle, filled unless a thickness is given."""
    scale = 1 << SHIFT
    cv2.circle(picture, (round(centre[0] * scale), round(centre[1] * scale)),
               round(radius * scale), colour, thickness, cv2.LINE_AA, SHIFT)


def blend(colour: Colour, over: Colour, share: float) -> Colour:
    """``share`` of a colour over another."""
    mixed = np.array(over) + share * (np.array(colour) - np.array(over))
    return tuple(int(v) for v in mixed)  # type: ignore[return-value]


def rounded(picture: Picture, x: int, y: int, width: int, height: int, colour: Colour,
            radius: int = 8) -> None:
    """A filled rectangle with round corners."""
    cv2.rectangle(picture, (x + radius, y), (x + width - radius - 1, y + height - 1), colour, -1)
    cv2.rectangle(picture, (x, y + radius), (x + width - 1, y + height - radius - 1), colour, -1)
    for cx in (x + radius, x + width - radius - 1):
        for cy in (y + radius, y + height - radius - 1):
            circle(picture, (cx, cy), radius, colour)
