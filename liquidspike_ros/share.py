"""Where the files that travel beside the code are: config/, models/, launch/, worlds/."""

from __future__ import annotations

import os
from pathlib import Path
import sys

PACKAGE = 'liquidspike_ros'


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
