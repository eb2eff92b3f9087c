"""The whole demo: the simulated robot and the policy that drives it to the singing beacon."""

# ruff: noqa: I001 (this folder's name makes ruff take the package `launch` for one of ours)

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare('liquidspike_ros')
ARGUMENTS = {
    'seed': ('1030', 'Seed of the layout and of all noise'),
    'real_time_factor': ('1.0', 'Simulated seconds per second'),
    'model': (PathJoinSubstitution([SHARE, 'models', 'beacon']), 'Folder of the checkpoint'),
    'once': ('true', 'End with the first episode'),
    'log_level': ('info', 'debug, info, warn, error or fatal'),
}


def end_all(event, context):
    """Neither node is of use without the other."""
    if context.is_shutdown:
        return None
    return Shutdown(reason=f'{event.process_name} has ended')


def generate_launch_description():
    arguments = [DeclareLaunchArgument(name, default_value=default, description=description)
                 for name, (default, description) in ARGUMENTS.items()]
    simulation = Node(
        package='liquidspike_ros', executable='sim_node', name='sim_node', output='screen',
        parameters=[{
            'seed': ParameterValue(LaunchConfiguration('seed'), value_type=int),
            'real_time_factor': ParameterValue(
                LaunchConfiguration('real_time_factor'), value_type=float),
            'once': ParameterValue(LaunchConfiguration('once'), value_type=bool),
        }])
    policy = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([SHARE, 'launch', 'policy.launch.py'])),
        launch_arguments={
            'params_file': PathJoinSubstitution([SHARE, 'config', 'demo.yaml']),
            'model': LaunchConfiguration('model'),
            'use_sim_time': 'true',
            'auto_arm': 'true',
            'log_level': LaunchConfiguration('log_level'),
        }.items())
    end = RegisterEventHandler(OnProcessExit(on_exit=end_all))
    return LaunchDescription([*arguments, simulation, policy, end])
