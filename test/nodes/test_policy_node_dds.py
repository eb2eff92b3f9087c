from __future__ import annotations

import json
import time
from typing import Any

from dds_harness import arm, arm_when_ready, call, DiagnosticsEar, FakeRobot, wait_for
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import pytest
from rcl_interfaces.srv import DescribeParameters
from std_msgs.msg import String
from std_srvs.srv import Trigger

from liquidspike_ros.core.tick import native

pytestmark = [pytest.mark.dds, pytest.mark.slow]


def transition(node: Any, number: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=number))
    return call(node, ChangeState, '/policy/change_state', request).success


def state(node: Any) -> str:
    return call(node, GetState, '/policy/get_state', GetState.Request()).current_state.label


def test_a_managed_life(robot: FakeRobot, node: Any, start_policy: Any) -> None:
    process = start_policy(auto_start=False)
    assert state(node) == 'unconfigured'
    assert not arm(node).success
    assert transition(node, Transition.TRANSITION_CONFIGURE)
    assert transition(node, Transition.TRANSITION_ACTIVATE)

    time.sleep(1.0)
    assert not robot.commands, 'unarmed, yet something left'

    arm_when_ready(node)
    wait_for(lambda: any(not command.is_zero for command in robot.commands), 'commands')

    assert arm(node, False).success
    wait_for(lambda: robot.commands[-1].is_zero, 'a stop')
    time.sleep(1.0)  # zeros go on for 200 ms
    count = len(robot.commands)
    time.sleep(0.5)
    assert len(robot.commands) == count, 'disarmed, yet it goes on sending'

    arm_when_ready(node)
    wait_for(lambda: not robot.commands[-1].is_zero, 'driving again')
    began = time.monotonic()
    assert transition(node, Transition.TRANSITION_DEACTIVATE)
    assert state(node) == 'inactive'
    wait_for(lambda: robot.commands[-1].is_zero, 'a stop')
    time.sleep(0.3)
    zeros = [command.time for command in robot.since(began) if command.is_zero]
    assert robot.commands[-1].is_zero
    assert zeros[-1] - zeros[0] > 0.15

    assert transition(node, Transition.TRANSITION_CLEANUP)
    assert transition(node, Transition.TRANSITION_CONFIGURE)
    assert process.running
    assert process.signal() == 0


def test_one_robot_drives_and_tells(robot: FakeRobot, node: Any, start_policy: Any) -> None:
    """Rate, introspection, diagnostics, reset and parameters of one running node."""
    told: list[dict[str, Any]] = []
    node.create_subscription(String, '/policy/introspection',
                             lambda message: told.append(json.loads(message.data)), 10)
    ear = DiagnosticsEar(node)
    start_policy(auto_arm=True, introspection=True)
    wait_for(lambda: len(robot.commands) > 45, 'three seconds of commands')
    wait_for(lambda: ear.value('policy: command', 'state') == 'ACTIVE', 'an ACTIVE diagnosis')

    tick = told[-1]
    assert tick['modalities'] == ['camera', 'sensors', 'lidar', 'audio']
    assert len(tick['attention']) == 4
    assert tick['present'] == dict.fromkeys(('camera', 'imu', 'lidar', 'audio'), True)
    assert tick['weights'] == pytest.approx([0.25] * 4, abs=0.25)
    assert 0 <= tick['latency_s'] < 1.0
    assert len(tick['command']) == 2
    stamps = [t['stamp'] for t in told[-30:]]
    assert stamps == sorted(set(stamps))

    for sensor in ('camera', 'imu', 'lidar', 'audio'):
        assert int(ear.value(f'policy: {sensor}', 'accepted') or 0) > 0
    assert ear.value('policy: inference', 'device') in ('cpu', 'cuda')
    assert ear.value('policy: inference', 'runtime') in ('eager', 'cudagraph')
    assert ear.value('policy: inference', 'precision') == 'float32'
    assert ear.value('policy: inference', 'runtime_reason') is not None
    assert ear.value('policy: inference', 'native') in ('True', 'False')
    if ear.value('policy: inference', 'device') == 'cpu':
        assert ear.value('policy: inference', 'native_reason') == native.reason()
    assert float(ear.value('policy: inference', 'latency_p99') or -1) >= 0

    assert call(node, Trigger, '/policy/reset_state', Trigger.Request()).success
    described = call(node, DescribeParameters, '/policy/describe_parameters',
                     DescribeParameters.Request(names=['command.upper', 'rate']))
    assert all(item.description for item in described.descriptors)


def test_approximate_time_lets_camera_and_lidar_in_by_sets(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    ear = DiagnosticsEar(node)
    start_policy(auto_arm=True, sync__policy='approximate_time')
    wait_for(lambda: len(robot.commands) > 20, 'commands')

    def accepted(name: str) -> int:
        return int(ear.value(f'policy: {name}', 'accepted') or 0)

    # Unmatched, three frames would come in for every two scans.
    wait_for(lambda: accepted('lidar') > 40, 'matched scans')
    assert accepted('camera') < 1.3 * accepted('lidar')
    robot.enabled.discard('lidar')
    time.sleep(1.0)
    wait_for(lambda: 'silent' in ear.status['policy: camera'].message, 'a silent camera')
    assert robot.since(time.monotonic() - 0.3), 'the other sensors were to go on'
