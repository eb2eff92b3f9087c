from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from liquidspike_ros.demo.recording import Recording
from liquidspike_ros.demo.video import Film, FRAME_RATE, HEIGHT, WIDTH, write_film
from liquidspike_ros.robot import load_robot
from liquidspike_ros.share import shared_file
from liquidspike_ros.sim.arena import sample_layout

# Inside of each panel: where something must move while the robot drives.
PANELS = {
    'camera': (22, 84, 398, 300), 'scan': (452, 84, 388, 300), 'plan': (872, 84, 386, 300),
    'spikes': (22, 436, 398, 262), 'attention': (452, 436, 310, 262),
    'command': (794, 436, 240, 262), 'sound': (1066, 436, 192, 262),
}


@pytest.fixture
def film(driven: Recording) -> Film:
    robot = load_robot(shared_file('config/robots/beacon.yaml'))
    return Film(driven, sample_layout(driven.seed), robot)


def cut(picture: np.ndarray, panel: str) -> np.ndarray:
    x, y, width, height = PANELS[panel]
    return picture[y:y + height, x:x + width]


@pytest.mark.parametrize('panel', PANELS)
def test_every_panel_shows_the_drive(film: Film, panel: str) -> None:
    early, late = film.draw(film.moments[8]), film.draw(film.moments[-1])
    assert (cut(early, panel) != cut(late, panel)).mean() > 0.001


def test_camera_panel_shows_the_frame_of_the_moment(film: Film, driven: Recording) -> None:
    now = film.moments[20]
    image = driven.images.at(now)
    assert image is not None
    shown = cut(film.draw(now), 'camera')[40:]  # below the marks of the pillars
    for channel in range(3):
        assert shown[:, :, channel].mean() == pytest.approx(
            image[image.shape[0] * 40 // 300:, :, channel].mean(), abs=3)


def test_a_moment_before_anything_came_can_be_drawn(film: Film) -> None:
    assert film.draw(0).shape == (HEIGHT, WIDTH, 3)


def test_film_is_h264_that_plays_everywhere(
    film: Film, driven: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    path = tmp_path / 'episode.mp4'
    write_film(film, path, shares.append)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264'
        assert stream.codec_context.pix_fmt == 'yuv420p'
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
        assert stream.average_rate == FRAME_RATE
        frames = sum(1 for _ in container.decode(stream))
    seconds = (driven.poses.times[-1] - film.moments[0]) / 1e9
    assert frames == pytest.approx((seconds + 2) * FRAME_RATE, abs=2)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [file.name for file in tmp_path.iterdir()] == ['episode.mp4']


def test_interrupted_film_leaves_nothing(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(share: float) -> None:
        if share > 0.9:  # the encoder holds the first frames back
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_film(film, tmp_path / 'episode.mp4', interrupted)
    assert list(tmp_path.iterdir()) == []
