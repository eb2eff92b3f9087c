"""The MuJoCo beacon arena: physics, sensors as ROS messages, an expert, recording, evaluation."""

from __future__ import annotations

from .graphics import choose_backend

# MuJoCo reads MUJOCO_GL once, when it is first imported: every module here comes after this line.
choose_backend()
