"""Pass /scan_raw on to /scan. Ended by Ctrl-C it is a cable that was cut."""

from __future__ import annotations

from contextlib import suppress

import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import LaserScan

rclpy.init()
node = rclpy.create_node('relay')
scans = node.create_publisher(LaserScan, 'scan', 10)
node.create_subscription(LaserScan, 'scan_raw', scans.publish, 10)
with suppress(KeyboardInterrupt, ExternalShutdownException):
    rclpy.spin(node)
