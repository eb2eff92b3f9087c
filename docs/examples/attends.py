"""Print once a second which modality attends to which (policy_node with introspection:=true)."""

from __future__ import annotations

from contextlib import suppress
import json
import time

import rclpy
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import String

rclpy.init()
node = rclpy.create_node('attends')
last = 0.0


def show(message: String) -> None:
    """Print a tick: each row says how much a modality attends to each."""
    global last
    if time.monotonic() - last < 1.0:
        return
    last = time.monotonic()
    tick = json.loads(message.data)
    print(tick['state'], 'command', tick['command'])
    for name, row in zip(tick['modalities'], tick['attention'] or (), strict=False):
        to = '  '.join(f'{other} {share:.2f}'
                       for other, share in zip(tick['modalities'], row, strict=True))
        print(f'   {name:8} attends to  {to}', flush=True)


node.create_subscription(String, '/policy/introspection', show, 10)
with suppress(KeyboardInterrupt, ExternalShutdownException):
    rclpy.spin(node)
