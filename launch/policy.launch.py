"""Start the policy node on a robot: sensors in, commands out."""

# ruff: noqa: I001 (this folder's name makes ruff take the package `launch` for one of ours)

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from liquidspike_ros.nodes.launching import full_name, sets, Watch

SHARE = FindPackageShare('liquidspike_ros')
LEVELS = ['debug', 'info', 'warn', 'error', 'fatal']
ARGUMENTS = {
    'robot': ('beacon', 'Robot file: its name in config/robots without .yaml'),
    'robot_file': (
        [PathJoinSubstitution([SHARE, 'config', 'robots', LaunchConfiguration('robot')]), '.yaml'],
        'Robot file by path, for a robot of your own'),
    'params_file': (
        PathJoinSubstitution([SHARE, 'config', 'policy.yaml']), 'Parameters of the policy node'),
    'model': ('', 'Folder of the checkpoint; empty: as in robot_file or params_file, else the '
                  'shipped models/beacon'),
    'device': ('', 'auto, cpu, cuda or cuda:N; empty: as in params_file'),
    'namespace': ('', 'Namespace of the node and its relative topics'),
    'use_sim_time': ('', 'Follow /clock; empty: as in params_file, else false'),
    'auto_start': ('', 'Configure and activate by itself, false under a lifecycle manager; '
                       'empty: as in params_file, else true'),
    'auto_arm': ('', 'Arm by itself once the inputs are healthy; empty: as in params_file, '
                     'else false'),
    'log_level': ('info', f'Of this node: {", ".join(LEVELS)}'),
}


def untyped(name):
    """Of a value that does not fit the node says which it is, launch does not."""
    return ParameterValue(LaunchConfiguration(name))


def text(name):
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def given(context, parameters):
    """Those whose argument says something: the last in the list wins, so the others stay out."""
    return {name: value for name, value in parameters.items()
            if LaunchConfiguration(name).perform(context)}


def files_are_there(context):
    """Launch only warns of a parameter file that is missing, and the node would run on defaults."""
    for name in ('robot_file', 'params_file'):
        path = LaunchConfiguration(name).perform(context)
        if not Path(path).is_file():
            raise FileNotFoundError(f'{name}: got {path}, expected a file that is there')


def shipped_model(context, node):
    """The policy that came with the package, where nobody names another."""
    files = [LaunchConfiguration(name).perform(context) for name in ('robot_file', 'params_file')]
    if any(sets(path, node, 'model') for path in files):
        return {}
    return {'model': PathJoinSubstitution([SHARE, 'models', 'beacon'])}


def policy_node(context):
    node = full_name(context, LaunchConfiguration('namespace').perform(context), 'policy')
    logger = node.strip('/').replace('/', '.')
    return [LifecycleNode(
        package='liquidspike_ros',
        executable='policy_node',
        name='policy',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            LaunchConfiguration('robot_file'),
            LaunchConfiguration('params_file'),
            {**shipped_model(context, node), **given(context, {
                'model': text('model'),
                'device': text('device'),
                'use_sim_time': untyped('use_sim_time'),
                'auto_start': untyped('auto_start'),
                'auto_arm': untyped('auto_arm'),
            })},
        ],
        arguments=['--ros-args', '--log-level', [logger, ':=', LaunchConfiguration('log_level')]],
        output='screen',
        emulate_tty=True,
        # Zeros go out for 200 ms after SIGINT; launch must not get impatient.
        sigterm_timeout='5',
    )]


def generate_launch_description():
    arguments = [DeclareLaunchArgument(
        name, default_value=default, description=description,
        choices=LEVELS if name == 'log_level' else None)
        for name, (default, description) in ARGUMENTS.items()]
    return LaunchDescription([
        *arguments, *Watch('policy_node').handlers(), OpaqueFunction(function=files_are_there),
        OpaqueFunction(function=policy_node)])
