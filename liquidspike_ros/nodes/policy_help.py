"""What ``policy_node --help`` prints."""

from __future__ import annotations

from ..robot import COMMAND_INTERFACES, RobotSpec
from .declarations import option_declarations, robot_declarations
from .help import NodeHelp
from .options import PolicyOptions


def _topics() -> list[tuple[str, str, str]]:
    robot = RobotSpec()
    command = f'{", ".join(COMMAND_INTERFACES.values())}, as command.kind says'
    return [
        *((spec.topic, spec.type, f'in, {name} (parameter sensors.{name}.topic)')
          for name, spec in robot.sensors.items()),
        (robot.command.topic, command, 'out, once armed (parameter command.topic)'),
        ('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', 'out, 1 Hz: state, reasons, rates'),
        ('~/introspection', 'std_msgs/msg/String', 'out, JSON of every tick, if asked for')]


HELP = NodeHelp(
    program='policy_node',
    summary='Drives a robot with a trained policy: sensors in, commands out through a safety gate. '
            'A managed (lifecycle) node called policy that configures and activates by itself '
            'unless auto_start is false, and moves nothing before ~/arm. A robot file (config/'
            'robots) and config/policy.yaml are parameter files for it.',
    declarations=lambda: option_declarations(PolicyOptions()) + robot_declarations(),
    topics=_topics(),
    services=[
        ('~/arm', 'std_srvs/srv/SetBool', 'lets commands leave, or stops; says why not'),
        ('~/reset_state', 'std_srvs/srv/Trigger', 'recurrent state from rest at the next tick'),
        ('~/change_state, ~/get_state, …', 'lifecycle_msgs', 'ros2 lifecycle set /policy …')],
    examples=[
        'ros2 run liquidspike_ros policy_node --ros-args --params-file my_robot.yaml '
        '-p model:=models/mine',
        'ros2 run liquidspike_ros policy_node --ros-args -p model:=models/mine '
        '-r __ns:=/robot1 -r scan:=front/scan',
        "ros2 service call /policy/arm std_srvs/srv/SetBool '{data: true}'",
        'ros2 param set /policy command.upper "[0.3, 1.0]"      # lower a limit, also while driving'
    ])
