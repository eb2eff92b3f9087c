"""From raw message fields to one validated ``Observation`` a tick; numpy only, no ROS.

- Fields: ``cdr`` (serialised messages), ``fields`` (untrusted values), ``converters`` (one entry
  for every message type).
- Pictures: ``image`` with ``image_layout``, ``encodings``, ``jpeg_png``, ``jpeg``, ``png``,
  ``ros_decoders``.
- ``imu`` with ``imu_halves`` and ``rotations``; ``lidar`` with ``scan_geometry`` and ``points``;
  ``audio`` with ``sample_formats``.
- Together: ``channel`` (one sensor) with ``buffers``, ``resampling`` and ``plausibility``;
  ``synchronizer`` (all of them), ``schedule`` (when), ``stream`` (the calls that the live node and
  the bag reader both make), ``observation`` (what comes out).
"""
