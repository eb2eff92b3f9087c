"""Print what /diagnostics says of the policy; with `arm`, ask it to arm first."""

from __future__ import annotations

from contextlib import suppress
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.executors import ExternalShutdownException
from std_srvs.srv import SetBool

rclpy.init()
node = rclpy.create_node('watch')


def show(message: DiagnosticArray) -> None:
    """Print the gate, and whatever is not OK."""
    for status in message.status:
        if status.name == 'policy: command' or status.level != b'\x00':
            print(time.strftime('%T'), status.name, '|', status.message, flush=True)


if sys.argv[1:] == ['arm']:
    service = node.create_client(SetBool, '/policy/arm')
    service.wait_for_service()
    answer = service.call_async(SetBool.Request(data=True))
    rclpy.spin_until_future_complete(node, answer)
    print('arm:', answer.result().message, flush=True)
node.create_subscription(DiagnosticArray, '/diagnostics', show, 10)
with suppress(KeyboardInterrupt, ExternalShutdownException):
    rclpy.spin(node)
