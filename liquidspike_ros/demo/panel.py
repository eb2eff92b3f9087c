"""What every part of the picture has: a box, a title, something still and something moving."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from .canvas import BACKGROUND, INNER, MUTED, Picture, rounded, text
from .canvas import PANEL as PANEL_COLOUR
from .recording import Recording

TITLE_HEIGHT = 30
MARGIN = 10


class Panel:
    """A titled box.

    Args:
        x, y, width, height: Outer box, pixels.
        title: Written above the inside.
    """

    def __init__(self, x: int, y: int, width: int, height: int, title: str) -> None:
        self.outer = (x, y, width, height)
        self.x, self.y = x + MARGIN, y + TITLE_HEIGHT
        self.width, self.height = width - 2 * MARGIN, height - TITLE_HEIGHT - MARGIN
        self.title = title

    def frame(self, picture: Picture) -> None:
        """Draw what never changes."""
        x, y, width, height = self.outer
        rounded(picture, x, y, width, height, PANEL_COLOUR)
        text(picture, self.title, (self.x, y + TITLE_HEIGHT / 2), 13, MUTED, bold=True)
        self.inside(picture)[:] = INNER

    def inside(self, picture: Picture) -> Picture:
        """The part of the picture that may be drawn on; a view."""
        return picture[self.y:self.y + self.height, self.x:self.x + self.width]

    def note(self, picture: Picture, words: str) -> None:
        """A remark at the right end of the title line."""
        x, y, width, _ = self.outer
        text(picture, words, (x + width - MARGIN, y + TITLE_HEIGHT / 2), 12, MUTED, align=1.0)


class Moving(Protocol):
    """A panel that shows a moment of a recording."""

    def frame(self, picture: Picture) -> None:
        """Draw what never changes."""

    def draw(self, picture: Picture, recording: Recording, now: int) -> None:
        """Draw the moment ``now``, ns of simulated time."""


def blank(width: int, height: int) -> Picture:
    """An empty picture."""
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[:] = BACKGROUND
    return picture


def dashed(picture: Picture, begin: tuple[float, float], end: tuple[float, float],
           colour: tuple[int, int, int], dash: float = 6.0) -> None:
    """A dashed straight line."""
    a, b = np.array(begin), np.array(end)
    count = max(1, int(np.linalg.norm(b - a) / dash))
    for k in range(0, count, 2):
        p, q = a + (b - a) * k / count, a + (b - a) * min(k + 1, count) / count
        cv2.line(picture, (round(p[0]), round(p[1])), (round(q[0]), round(q[1])), colour, 1,
                 cv2.LINE_AA)
