"""Print which headless OpenGL MuJoCo can use here (osmesa or egl), or fail naming what is missing.

Loading the library is not enough (an EGL without any driver loads too), so a small picture is
drawn with each candidate in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys

PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><light pos="0 0 3"/>'
                                       '<geom size=".5" pos="0 0 -1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 16, 16)
renderer.update_scene(data)
renderer.render()
renderer.close()
"""


def main() -> int:
    """Try the backends in turn; returns the exit status."""
    for backend in ('osmesa', 'egl'):
        environment = {**os.environ, 'MUJOCO_GL': backend, 'PYOPENGL_PLATFORM': backend}
        result = subprocess.run([sys.executable, '-c', PROBE], env=environment,
                                capture_output=True, text=True, timeout=120, check=False)
        if result.returncode == 0:
            print(backend)
            return 0
        reason = (result.stderr.strip().splitlines() or ['no message'])[-1]
        print(f'{backend}: {reason}', file=sys.stderr)
    return 1


if __name__ == '__main__':
    sys.exit(main())
