"""Headless OpenGL: which backend, and one context per thread for all models drawn in it.

Creating a GL context costs 20–200 ms and some drivers leak on every one, so it is made once and
kept; only MuJoCo's own per-model resources (about 3 ms) follow the model that is drawn.

Mesa draws with LLVM, and Triton brings an LLVM of its own: loaded after Mesa's it crashes the
process, before it all is well. So Triton comes first wherever it is installed, whoever may want it
later: the kernels of ``core.spiking.triton.kernels``, ``torch.compile``, ``torch.export``.
"""

from __future__ import annotations

import atexit
from contextlib import suppress
import ctypes
import importlib
import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PLATFORM_DEVICE = 0x313F  # EGL_PLATFORM_DEVICE_EXT
_BACKENDS = ('egl', 'osmesa', 'glfw')
_INSTALL = 'sudo apt-get install -y libegl1 libgl1 libgl1-mesa-dri'
_local = threading.local()


class GraphicsError(RuntimeError):
    """Nothing can draw here; the message names the command that installs what is missing."""


def choose_backend() -> str:
    """Choose MuJoCo's GL backend and set ``MUJOCO_GL`` and Mesa's thread count, where unset.

    EGL where a device can be opened (a GPU or Mesa's software renderer), else OSMesa; both of
    Mesa's give the same pixels. Without either, MuJoCo is told not to look for a display and
    only drawing fails.

    Returns:
        ``egl``, ``osmesa``, ``disable`` or whatever ``MUJOCO_GL`` says already.
    """
    # A 96×72 frame is drawn faster by one thread than by many, and other work keeps its cores.
    os.environ.setdefault('LP_NUM_THREADS', '0')
    chosen = os.environ.get('MUJOCO_GL', '').strip().lower()
    if not chosen or chosen in _BACKENDS:
        _load_triton_first()  # MuJoCo loads GL as soon as it is imported
    if not chosen:
        chosen = 'egl' if _egl_works() else 'osmesa' if _osmesa_works() else 'disable'
        os.environ['MUJOCO_GL'] = chosen
    return chosen


def require_backend() -> str:
    """The backend pictures are drawn with.

    Raises:
        GraphicsError: There is none; says what to install.
    """
    backend = choose_backend()
    if backend not in _BACKENDS:
        raise GraphicsError(f'MUJOCO_GL: got {backend!r}, which draws nothing, expected one of '
                            f'{", ".join(_BACKENDS)}; without GL libraries: {_INSTALL}')
    return backend


def _load_triton_first() -> None:
    """Import Triton, if it is there, before a GL library is loaded.

    ``LIQUIDSPIKE_TRITON=0`` leaves it alone, for one that cannot be imported at all.
    """
    if os.environ.get('LIQUIDSPIKE_TRITON', '1') != '0':
        with suppress(Exception):  # a broken one is found out where it is needed
            importlib.import_module('triton')


def _egl_works() -> bool:
    """Whether some EGL device initialises: the library may be there without any driver."""
    try:
        egl = ctypes.CDLL('libEGL.so.1')
    except OSError:
        return False
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    pointer = ctypes.c_void_p
    query = egl.eglGetProcAddress(b'eglQueryDevicesEXT')
    display_of = egl.eglGetProcAddress(b'eglGetPlatformDisplayEXT')
    if not query or not display_of:
        return False
    devices = (pointer * 16)()
    count = ctypes.c_int(0)
    query_devices = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.POINTER(pointer),
                                     ctypes.POINTER(ctypes.c_int))(query)
    if not query_devices(16, devices, ctypes.byref(count)):
        return False
    get_display = ctypes.CFUNCTYPE(pointer, ctypes.c_uint, pointer, pointer)(display_of)
    egl.eglInitialize.argtypes = (pointer, pointer, pointer)
    egl.eglTerminate.argtypes = (pointer,)
    for device in devices[:count.value]:
        display = get_display(_PLATFORM_DEVICE, device, None)
        if display and egl.eglInitialize(display, None, None):
            egl.eglTerminate(display)
            return True
    return False


def _osmesa_works() -> bool:
    for name in ('libOSMesa.so.8', 'libOSMesa.so.6', 'libOSMesa.so'):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


class _Painter:
    """The GL context of one thread and MuJoCo's resources of the model drawn last."""

    def __init__(self) -> None:
        import mujoco

        self._mujoco = mujoco
        self._gl = _open_context()
        self._gl.make_current()
        self._model: Any = None
        self._resources: Any = None
        self._scene: Any = None
        self._options = mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def paint(self, model: Any, data: Any, camera: int, out: NDArray[np.uint8]) -> None:
        """Draw into ``out`` ``[H, W, 3]``, RGB, first row at the top."""
        mujoco = self._mujoco
        height, width, _ = out.shape
        self._follow(model, width, height)
        self._view.fixedcamid = camera
        area = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjv_updateScene(model, data, self._options, None, self._view,
                               mujoco.mjtCatBit.mjCAT_ALL.value, self._scene)
        mujoco.mjr_render(area, self._scene, self._resources)
        mujoco.mjr_readPixels(out, None, area, self._resources)
        out[:] = out[::-1].copy()

    def _follow(self, model: Any, width: int, height: int) -> None:
        buffer = model.vis.global_
        large_enough = width <= buffer.offwidth and height <= buffer.offheight
        if model is self._model and large_enough:
            return
        self.close()
        buffer.offwidth = max(width, buffer.offwidth)
        buffer.offheight = max(height, buffer.offheight)
        mujoco = self._mujoco
        self._resources = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._resources)
        self._scene = mujoco.MjvScene(model, maxgeom=256)
        self._model = model

    def close(self) -> None:
        if self._resources is not None:
            self._resources.free()
        self._resources = self._scene = self._model = None

    def shut(self) -> None:
        """Give everything back, while the GL library is still there to take it."""
        self.close()
        self._gl.free()


def _open_context() -> Any:
    backend = require_backend()
    try:
        return importlib.import_module(f'mujoco.{backend}').GLContext(640, 480)
    # What the GL bindings raise for a missing library depends on how they fail to find it.
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GraphicsError(
            f'MUJOCO_GL={backend}: {cause}; without GL libraries: {_INSTALL}') from None


def paint(model: Any, data: Any, camera: int, out: NDArray[np.uint8]) -> None:
    """Draw what a camera of a model sees.

    Args:
        model: ``mujoco.MjModel``.
        data: ``mujoco.MjData`` with up-to-date kinematics.
        camera: Camera id.
        out: ``[H, W, 3]``, written to.

    Raises:
        GraphicsError: No GL library works here; says what to install.
    """
    painter = getattr(_local, 'painter', None)
    if painter is None:
        painter = _local.painter = _Painter()
        if threading.current_thread() is threading.main_thread():
            atexit.register(painter.shut)
    painter.paint(model, data, camera, out)
