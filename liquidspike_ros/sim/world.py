"""The arena in motion: MuJoCo physics, the base's command interface, contact bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass
import math

import mujoco
import numpy as np

from .arena import Layout, mjcf
from .robot_model import WHEEL_RADIUS, WHEEL_TRACK

STEP_NS = 5_000_000
COMMAND_TIMEOUT_NS = 500_000_000
REARM_NS = 500_000_000

_FLOOR = 0  # the first geom of the model


@dataclass(frozen=True)
class Touch:
    """The robot came against something.

    Attributes:
        time_ns: Simulation time of the first contact, ns.
        geom: Name of what was touched: ``wall_…``, ``box_…``, ``cylinder_…`` or ``beacon_…``.
    """

    time_ns: int
    geom: str


class World:
    """One robot in one arena.

    Args:
        layout: The arena.
        seed: Of the episode: tyre grip and motor stiffness differ a little from day to day.

    Attributes:
        time_ns: Simulation time, a multiple of ``STEP_NS``.
        touches: Every contact episode so far; one ends after 0.5 s without contact.
        path_length: Way the robot's centre has gone, m.
    """

    def __init__(self, layout: Layout, seed: int = 0) -> None:
        self.layout = layout
        self.model = mujoco.MjModel.from_xml_string(mjcf(layout))
        self.data = mujoco.MjData(self.model)
        self.time_ns = 0
        self.touches: list[Touch] = []
        self.path_length = 0.0
        self._between = mujoco.MjData(self.model)
        self._between_ns = -1
        self._command = (0.0, 0.0)
        self._command_ns = 0
        self._contact_ns: dict[int, int] = {}
        self._vary(np.random.Generator(np.random.PCG64([seed, 0xB0D1])))
        mujoco.mj_step1(self.model, self.data)

    def _vary(self, rng: np.random.Generator) -> None:
        grip = float(rng.uniform(0.45, 0.75))
        for side in ('left_wheel', 'right_wheel'):
            self.model.geom(side).friction[0] = grip
        stiffness = float(rng.uniform(0.8, 1.2))
        self.model.actuator_gainprm[:, 0] *= stiffness
        self.model.actuator_biasprm[:, 2] *= stiffness

    @property
    def time(self) -> float:
        """Simulation time, s."""
        return self.time_ns * 1e-9

    @property
    def pose(self) -> tuple[float, float, float]:
        """True x (m), y (m), yaw (rad, in (−π, π]) of ``base_link`` in ``map``."""
        return _planar(self.data)

    @property
    def velocity(self) -> tuple[float, float]:
        """True forward speed (m/s) and yaw rate (rad/s)."""
        velocity = self.data.qvel
        yaw = _planar(self.data)[2]
        forward = velocity[0] * math.cos(yaw) + velocity[1] * math.sin(yaw)
        return float(forward), float(velocity[5])

    @property
    def collisions(self) -> int:
        """How often the robot came against anything but the floor."""
        return len(self.touches)

    def command(self, v: float, w: float) -> None:
        """Drive at a forward speed (m/s) and yaw rate (rad/s) for the next 0.5 s at most.

        Raises:
            ValueError: A speed is not finite.
        """
        if not (math.isfinite(v) and math.isfinite(w)):
            raise ValueError(f'command: got ({v}, {w}), expected finite m/s and rad/s')
        self._command = (float(v), float(w))
        self._command_ns = self.time_ns

    def advance(self, until_ns: int) -> None:
        """Step the physics up to the last step that does not pass ``until_ns``."""
        while self.time_ns + STEP_NS <= until_ns:
            self._step()

    def at(self, time_ns: int) -> mujoco.MjData:
        """Positions at an instant within the current step, for sensors that measure then.

        Velocities are taken as constant since the last step, which is exact to a few
        hundredths of a millimetre.

        Returns:
            Data with positions and kinematics only, valid until the next call.
        """
        if time_ns != self._between_ns:
            self._between.qpos[:] = self.data.qpos
            ahead = (time_ns - self.time_ns) * 1e-9
            mujoco.mj_integratePos(self.model, self._between.qpos, self.data.qvel, ahead)
            mujoco.mj_kinematics(self.model, self._between)
            mujoco.mj_camlight(self.model, self._between)
            self._between_ns = time_ns
        return self._between

    def pose_at(self, time_ns: int) -> tuple[float, float, float]:
        """As ``pose``, at an instant within the current step."""
        return _planar(self.at(time_ns))

    def _step(self) -> None:
        v, w = self._command
        if self.time_ns - self._command_ns > COMMAND_TIMEOUT_NS:
            v = w = 0.0
        data = self.data
        difference = w * WHEEL_TRACK / 2
        data.ctrl[:] = ((v - difference) / WHEEL_RADIUS, (v + difference) / WHEEL_RADIUS)
        x, y = data.qpos[:2]
        # In this order the data always holds the kinematics of the present, not of a step ago.
        mujoco.mj_step2(self.model, data)
        mujoco.mj_step1(self.model, data)
        self.time_ns += STEP_NS
        self.path_length += math.hypot(data.qpos[0] - x, data.qpos[1] - y)
        self._note_contacts()

    def _note_contacts(self) -> None:
        pairs = self.data.contact.geom
        for pair in pairs[pairs.min(axis=1) > _FLOOR] if len(pairs) else ():
            # The robot's geoms are the last of the model, so the other one has the lower id.
            other = int(pair.min())
            before = self._contact_ns.get(other)
            if before is None or self.time_ns - before > REARM_NS:
                self.touches.append(Touch(self.time_ns, self.model.geom(other).name))
            self._contact_ns[other] = self.time_ns


def _planar(data: mujoco.MjData) -> tuple[float, float, float]:
    x, y, _, qw, qx, qy, qz = data.qpos[:7].tolist()
    yaw = math.atan2(2.0 * (qw * qz + qx * qy), 1.0 - 2.0 * (qy * qy + qz * qz))
    return x, y, yaw
