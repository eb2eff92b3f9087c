"""Train a policy from recordings; progress on train_node/progress, Ctrl-C leaves a checkpoint."""

# ruff: noqa: I001 (this folder's name makes ruff take the package `launch` for one of ours)

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from liquidspike_ros.nodes.launching import Watch

ARGUMENTS = {
    'bags': (None, 'Recording, or a YAML list of them, e.g. "[bags/one, bags/two.mcap]"'),
    'output': (None, 'Folder of the checkpoint to write'),
    'robot_file': (
        PathJoinSubstitution([FindPackageShare('liquidspike_ros'), 'config', 'robots',
                              'beacon.yaml']),
        'Robot file by path: which topics to learn from'),
    'epochs': ('0', 'Passes over the recordings; 0: as in config/train.yaml'),
}


def robot_file_is_there(context):
    """Launch only warns of a parameter file that is missing, and the node would run on defaults."""
    path = LaunchConfiguration('robot_file').perform(context)
    if not Path(path).is_file():
        raise FileNotFoundError(f'robot_file: got {path}, expected a file that is there')


def generate_launch_description():
    arguments = [DeclareLaunchArgument(name, default_value=default, description=description)
                 for name, (default, description) in ARGUMENTS.items()]
    training = Node(
        package='liquidspike_ros', executable='train_node', name='train_node', output='screen',
        parameters=[LaunchConfiguration('robot_file'), {
            # No types here: of a value that does not fit the node says which it is.
            'bags': ParameterValue(LaunchConfiguration('bags')),
            'output': ParameterValue(LaunchConfiguration('output'), value_type=str),
            'epochs': ParameterValue(LaunchConfiguration('epochs')),
        }],
        sigterm_timeout='60')  # saving takes its time; the checkpoint is whole either way
    return LaunchDescription([
        *arguments, *Watch('train_node').handlers(),
        OpaqueFunction(function=robot_file_is_there), training])
