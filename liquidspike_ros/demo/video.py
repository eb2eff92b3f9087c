"""The film of a demo: everything sensed, thought and commanded, side by side.

Drawn after the run from what the observer kept, so that drawing never disturbs the robot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
import os
from pathlib import Path

import av
import numpy as np

from ..robot import RobotSpec
from ..sim.arena import Layout
from .canvas import circle, FAINT, GREEN, MUTED, ORANGE, Picture, RED, TEXT, text
from .panel import blank, Moving
from .recording import Recording
from .scene import CameraPanel, heard_at, PlanPanel, ScanPanel, seen_at
from .signals import AttentionPanel, CommandPanel, SoundPanel, SpikePanel

WIDTH, HEIGHT = 1280, 720
FRAME_RATE = 15
HOLD_NS = 2_000_000_000
"""How long the last moment stays in view, ns."""
GATE_COLOURS = {'ACTIVE': GREEN, 'CAPPED': ORANGE, 'WARN': ORANGE, 'STOP': RED, 'FAULT': RED}
OUTCOME_COLOURS = {'arrived': GREEN, 'wrong_beacon': RED, 'timeout': ORANGE}


class Film:
    """Draws the moments of one demo.

    Args:
        recording: What the observer kept.
        layout: The arena it was in.
        robot: The robot that drove.
    """

    def __init__(self, recording: Recording, layout: Layout, robot: RobotSpec) -> None:
        self.recording = recording
        self._panels: list[Moving] = [
            CameraPanel(12, 54, 418, 340, 'camera'),
            ScanPanel(442, 54, 408, 340, 'LiDAR · heard · seen'),
            PlanPanel(862, 54, 406, 340, 'the room (unknown to the robot)', layout),
            SpikePanel(12, 406, 418, 302, 'spikes of every neuron, last 6 s'),
            AttentionPanel(442, 406, 330, 302, 'cross-modal attention'),
            CommandPanel(784, 406, 260, 302, f'command · {robot.command.topic}', robot.command),
            SoundPanel(1056, 406, 212, 302, 'microphones, last 1 s'),
        ]
        self._still = blank(WIDTH, HEIGHT)
        text(self._still, 'liquidspike_ros', (16, 28), 20, TEXT, bold=True)
        text(self._still, 'camera, IMU, LiDAR and sound to cmd_vel over ROS 2', (196, 29), 14,
             MUTED)
        for panel in self._panels:
            panel.frame(self._still)

    @property
    def moments(self) -> range:
        """Times of the frames, ns of simulated time."""
        poses = self.recording.poses.times
        begin = max(poses[0], self.recording.begin - 1_000_000_000)
        return range(begin, poses[-1] + 1, round(1e9 / FRAME_RATE))

    def draw(self, now: int) -> Picture:
        """One frame ``[720, 1280, 3]``."""
        picture = self._still.copy()
        for panel in self._panels:
            panel.draw(picture, self.recording, now)
        self._header(picture, now)
        return picture

    def frames(self) -> Iterator[Picture]:
        """All frames; the last stays for two seconds."""
        picture = self._still
        for now in self.moments:
            picture = self.draw(now)
            yield picture
        last = picture.copy()
        self._badge(last)
        for _ in range(round(HOLD_NS * FRAME_RATE / 1e9)):
            yield last

    def _header(self, picture: Picture, now: int) -> None:
        elapsed = max(0.0, (now - self.recording.begin) / 1e9)
        text(picture, f'{elapsed:5.1f} s', (1264, 28), 20, TEXT, bold=True, align=1.0)
        heard = heard_at(self.recording, now)
        words = 'silence' if np.isnan(heard) else f'heard {np.degrees(heard):+.0f}°'
        text(picture, words, (1164, 29), 13, FAINT if np.isnan(heard) else TEXT, align=1.0)
        names = ' '.join(seen_at(self.recording, now)) or 'no pillar'
        text(picture, f'sees {names}', (1050, 29), 13, TEXT, align=1.0)
        tick = self.recording.ticks.at(now)
        if tick is not None and tick.gate:
            colour = GATE_COLOURS.get(tick.gate, MUTED)
            circle(picture, (668, 29), 5, colour)
            text(picture, tick.gate, (680, 29), 13, colour, bold=True)

    def _badge(self, picture: Picture) -> None:
        outcome = self.recording.outcome or 'stopped'
        colour = OUTCOME_COLOURS.get(outcome, ORANGE)
        band = picture[330:390, 380:900]
        band[:] = (band * 0.15 + np.array(colour) * 0.25).astype(np.uint8)
        seconds = float(self.recording.status.get('time', 0.0))
        words = outcome.replace('_', ' ')
        text(picture, f'{words} after {seconds:.1f} s', (640, 360), 26, TEXT, bold=True, align=0.5)


def write_film(film: Film, path: Path, progress: Callable[[float], None] | None = None) -> None:
    """Write the film as H.264, readable everywhere (yuv420p, index in front).

    The file appears under its name only when whole.

    Args:
        film: What to draw.
        path: ``.mp4`` to write.
        progress: Told the share done, in [0, 1].
    """
    total = len(film.moments) + round(HOLD_NS * FRAME_RATE / 1e9)
    unfinished = path.with_name(f'.{path.name}.part')
    try:
        with av.open(str(unfinished), 'w', format='mp4',
                     options={'movflags': '+faststart'}) as container:
            stream = container.add_stream('libx264', rate=FRAME_RATE)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
            stream.time_base = Fraction(1, FRAME_RATE)
            stream.options = {'preset': 'veryfast', 'crf': '21'}
            for count, picture in enumerate(film.frames()):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
                if progress is not None:
                    progress((count + 1) / total)
            container.mux(stream.encode())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
