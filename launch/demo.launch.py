"""The whole demo: the simulated robot and the policy that drives it to the singing beacon.

It stays on this machine and below a namespace of its own, its clock too: it neither drives a real
robot nor listens to one.
"""

# ruff: noqa: I001 (this folder's name makes ruff take the package `launch` for one of ours)

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    SetEnvironmentVariable,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, SetRemap
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from liquidspike_ros.nodes.launching import Watch

SHARE = FindPackageShare('liquidspike_ros')
DISCOVERY = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
ARGUMENTS = {
    'seed': ('1030', 'Seed of the layout and of all noise'),
    'real_time_factor': ('1.0', 'Simulated seconds per second'),
    'model': (PathJoinSubstitution([SHARE, 'models', 'beacon']), 'Folder of the checkpoint'),
    'once': ('true', 'End with the first episode'),
    'namespace': ('beacon_demo', 'Namespace of both nodes and of all their topics'),
    'log_level': ('info', 'Of the policy: debug, info, warn, error or fatal'),
}


def generate_launch_description():
    arguments = [DeclareLaunchArgument(name, default_value=default, description=description)
                 for name, (default, description) in ARGUMENTS.items()]
    stay_here = SetEnvironmentVariable(
        DISCOVERY, EnvironmentVariable(DISCOVERY, default_value='LOCALHOST'))
    simulation = Node(
        package='liquidspike_ros', executable='sim_node', name='sim_node', output='screen',
        namespace=LaunchConfiguration('namespace'),
        # No types here: of a value that does not fit the node says which it is, launch does not.
        parameters=[{
            'seed': ParameterValue(LaunchConfiguration('seed')),
            'real_time_factor': ParameterValue(LaunchConfiguration('real_time_factor')),
            'once': ParameterValue(LaunchConfiguration('once')),
        }])
    policy = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([SHARE, 'launch', 'policy.launch.py'])),
        launch_arguments={
            'params_file': PathJoinSubstitution([SHARE, 'config', 'demo.yaml']),
            'model': LaunchConfiguration('model'),
            'namespace': LaunchConfiguration('namespace'),
            'use_sim_time': 'true',
            'auto_arm': 'true',
            'log_level': LaunchConfiguration('log_level'),
        }.items())
    # Neither node is of use without the other.
    watch = Watch('sim_node', 'policy_node', together=True)
    return LaunchDescription([
        *arguments, stay_here, *watch.handlers(),
        GroupAction([SetRemap('/clock', 'clock'), simulation, policy])])
