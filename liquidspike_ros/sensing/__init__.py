"""From raw message fields to one validated ``Observation`` a tick; numpy only, no ROS."""
