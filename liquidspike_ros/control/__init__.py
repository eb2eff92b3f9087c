"""One control tick: observation -> tensors -> model step -> safe command.

- ``tensors``: observations as the model's tensors; ``action``: what comes back.
- ``policy_runtime``: a step a tick, with state that stays on the device, in one of five ways:
  ``eager_step``, ``native_step`` (in C), ``static_step`` (fixed memory), ``captured_step`` (as a
  CUDA graph), ``compiled_step``; ``precision`` and ``rehearsal`` decide what may be used, and
  ``compatibility`` whether the model fits the robot at all.
- ``safety``: the last word on every command, by ``safety_config``, ``sensor_watch`` (which sensors
  are alive), ``rate_limiter`` and ``deadlines``.
"""
