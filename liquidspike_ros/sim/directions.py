"""Where the sensors alone say the pillars are: what the plan view draws as heard and seen.

Neither the policy nor the expert uses these; they read the raw sensors by hand, so that a person
looking at an episode can tell what there was to hear and to see.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .arena import BEACON_COLOURS
from .microphones import EAR_DISTANCE, SAMPLE_RATE, SPEED_OF_SOUND
from .robot_model import CAMERA_HORIZONTAL_FOV

_SILENCE = 0.003  # of full scale, rms: three times the microphones' noise
_PURITY = 1.6  # a pillar's channel is this much brighter than the others; obstacles stay below 1.4
_LEAST_PIXELS = 6


def heard_direction(audio: NDArray[np.float32], sample_rate: int = SAMPLE_RATE) -> float:
    """Direction of a sound from its inter-aural delay alone.

    The delay is the peak of the generalised cross-correlation, whitened half-way (between plain
    correlation and PHAT, Knapp and Carter 1976): a chirp fills only part of the band. Two ears
    cannot tell front from back by delay: the mirrored angle behind gives the same answer.

    Args:
        audio: ``[2, n]``, left and right, in [−1, 1].
        sample_rate: Hz.

    Returns:
        Angle off the heading in [−π/2, π/2] rad, positive to the left; NaN where most of the
        window is silent.
    """
    sound = audio.astype(np.float64)
    samples = sound.shape[1]
    # The end of a chirp at the edge of the window is too short to tell a direction from.
    pieces = np.sqrt((sound[:, :samples - samples % 10].reshape(2, 10, -1)**2).mean(axis=(0, 2)))
    if np.median(pieces) < _SILENCE:
        return math.nan
    left, right = np.fft.rfft(sound * np.hanning(samples), 2 * samples)
    cross = left * np.conj(right)
    cross /= np.sqrt(np.abs(cross)) + 1e-9
    fine = 8
    correlation = np.fft.irfft(cross, 2 * samples * fine)
    most = math.ceil(EAR_DISTANCE / SPEED_OF_SOUND * sample_rate * fine)
    lags = np.arange(-most, most + 1)
    # A lead of the left ear is a negative lag of its signal.
    lead = -int(lags[int(np.argmax(correlation[lags]))]) / (sample_rate * fine)
    return math.asin(min(1.0, max(-1.0, lead * SPEED_OF_SOUND / EAR_DISTANCE)))


def seen_directions(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Directions of the three pillars by their colour.

    Args:
        image: RGB ``[H, W, 3]`` of the robot's camera.

    Returns:
        ``[3]``, red, green, blue: angle off the heading, rad, positive to the left; NaN where
        fewer than six pixels show that colour.
    """
    width = image.shape[1]
    pixels = image.astype(np.float32)
    focal = 0.5 * width / math.tan(0.5 * CAMERA_HORIZONTAL_FOV)
    angles = np.arctan2(0.5 * width - np.arange(width) - 0.5, focal)
    directions = np.full(len(BEACON_COLOURS), math.nan)
    for index in range(len(BEACON_COLOURS)):
        others = np.delete(pixels, index, axis=2).max(axis=2)
        count = (pixels[:, :, index] > np.maximum(_PURITY * others, 30.0)).sum(axis=0)
        if count.sum() >= _LEAST_PIXELS:
            directions[index] = float(angles @ count / count.sum())
    return directions
