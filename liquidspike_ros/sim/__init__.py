"""The MuJoCo beacon arena: physics, sensors as ROS messages, an expert, recording, evaluation.

- The world: ``arena``, ``robot_model``, ``world`` (in motion), ``graphics``.
- The sensors: ``camera``, ``imu``, ``lidar``, ``microphones``, ``odometry``; ``messages``: as ROS
  messages; ``directions``: what they say about the pillars.
- An episode: ``simulation``, ``drivers``, ``expert``, ``starts``, ``episode`` (in lockstep).
- Many: ``recording``, ``evaluation``, ``workers``.
"""

from __future__ import annotations

from .graphics import choose_backend

# MuJoCo reads MUJOCO_GL once, when it is first imported: every module here comes after this line.
choose_backend()
