"""Where the files that travel beside the code are: config/, models/, launch/, worlds/."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import sys

PACKAGE = 'liquidspike_ros'
PROFILES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
"""What Fast DDS reads the name of its profile file from: since Kilted, and before."""
_BEFORE_KILTED = ('humble', 'iron', 'jazzy')


def share_directory() -> Path:
    """The folder that holds ``config/`` and ``models/``.

    A source tree (or editable install) wins, then a ROS workspace (``AMENT_PREFIX_PATH``), then
    the Python environment the package was installed into.

    Raises:
        FileNotFoundError: None of them holds the package's files.
    """
    source = Path(__file__).resolve().parents[1]
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    installed = [Path(prefix) / 'share' / PACKAGE for prefix in (*prefixes, sys.prefix)]
    for folder in (source, *installed):
        if (folder / 'package.xml').is_file() and (folder / 'config').is_dir():
            return folder
    looked = ', '.join(map(str, (source, *installed)))
    raise FileNotFoundError(f'files of {PACKAGE} not found (looked in {looked}); install it again')


def shared_file(relative: str | Path) -> Path:
    """A path as given where it exists, else the file of that name that came with the package.

    So ``config/robots/beacon.yaml`` means the same in a source tree and anywhere else.
    """
    path = Path(relative)
    if path.is_absolute() or path.exists():
        return path
    shared = share_directory() / path
    return shared if shared.exists() else path


def transport_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment of a ROS process so that large messages leave it whole.

    Fast DDS hands messages to other processes of the same host through a piece of shared memory
    that is smaller than one camera frame; ``config/fastdds.xml`` makes it larger.

    Args:
        environment: What it has; a profile file that is named there already stays.
    """
    if any(environment.get(name) for name in PROFILES):
        return {}
    try:
        file = share_directory() / 'config' / 'fastdds.xml'
    except FileNotFoundError:  # no reason not to start
        return {}
    name = PROFILES[environment.get('ROS_DISTRO', '') in _BEFORE_KILTED]
    return {name: str(file)} if file.is_file() else {}
