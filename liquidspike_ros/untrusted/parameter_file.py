"""ROS 2 parameter files: one node name (or ``/**``) above ``ros__parameters``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .files import FileRefusal, read_text
from .text import brief
from .yaml_text import parse_yaml, YamlRefusal

LIMIT = 256 * 1024
"""Largest parameter file, bytes."""


def read_parameter_file(path: str | Path) -> Any:
    """What stands below ``ros__parameters``, as plain values.

    Raises:
        FileRefusal: The file is missing, no file, too large, no acceptable YAML, or of another
            form; one line with its path.
    """
    try:
        document = parse_yaml(read_text(path, LIMIT))
    except YamlRefusal as error:
        raise FileRefusal(f'{path}: {error}') from None
    if not isinstance(document, dict) or len(document) != 1:
        raise FileRefusal(f'{path}: expected one node name (or /**) with ros__parameters')
    (name, body), = document.items()
    if not isinstance(body, dict) or 'ros__parameters' not in body:
        raise FileRefusal(f'{path}: expected ros__parameters below {brief(name)}')
    if len(body) > 1:
        other = next(key for key in body if key != 'ros__parameters')
        raise FileRefusal(f'{path}: got {brief(other)} beside ros__parameters, expected it below')
    return body['ros__parameters']
