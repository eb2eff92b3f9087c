"""What the ROS libraries can read beyond this package's own tables, where they are installed."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .observation import InvalidSample


@functools.cache
def _cv_bridge() -> Any:
    """A ``CvBridge``, or None where there is none that works with the numpy that is here."""
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    except Exception:  # built for another numpy it raises AttributeError, not only ImportError
        return None


def image_to_rgb(msg: Any) -> NDArray[np.uint8] | None:
    """A raw image as RGB ``[H, W, 3]`` by cv_bridge; None where it is not installed.

    Raises:
        InvalidSample: cv_bridge does not know the encoding either, or the data do not fit it.
    """
    bridge = _cv_bridge()
    if bridge is None:
        return None
    try:
        image = np.asarray(bridge.imgmsg_to_cv2(msg, 'rgb8'))
    except Exception as error:  # CvBridgeError, TypeError, RuntimeError of its C++ part
        text = ' '.join(str(error).split())[:120]
        raise InvalidSample(f'encoding: got {str(msg.encoding)[:40]!r}, cv_bridge says: '
                            f'{text}') from None
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InvalidSample(f'encoding: cv_bridge made {image.dtype} {image.shape} of '
                            f'{str(msg.encoding)[:40]!r}, expected uint8 [height, width, 3]')
    return image


def point_datatype(field: Any) -> np.dtype[Any] | None:
    """Type of the values of a ``PointField`` by sensor_msgs_py; None where it does not know it."""
    try:
        from sensor_msgs_py.point_cloud2 import dtype_from_fields

        layout = dtype_from_fields([field])
        return layout[layout.names[0]]
    except Exception:  # not installed, or KeyError, AssertionError: no such datatype
        return None
