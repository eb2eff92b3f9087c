"""The page of all parameters, docs/parameters.md, from what the nodes declare.

Print it with ``python -m liquidspike_ros.nodes.parameter_table > docs/parameters.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..robot import SENSOR_TYPES
from ..settings import Effect
from ..training.configuration import TrainConfig
from .declarations import Declaration, option_declarations, robot_declarations
from .help import default_text
from .options import PolicyOptions
from .sim_node import SimOptions
from .train_node import TrainOptions

_INTRODUCTION = """\
<!-- Made by `python -m liquidspike_ros.nodes.parameter_table > docs/parameters.md`. -->
# Parameters

Every parameter of the nodes. A value out of its range, or one that does not go with the others, is
refused with its name, what was got and what was expected; the running values stay.

## How to set them

In a parameter file, which launch takes as `params_file:=my_policy.yaml` (for the robot as
`robot_file:=my_robot.yaml`) and a node as `--ros-args --params-file my_policy.yaml`:

```yaml
/**:
  ros__parameters:
    threads: 2
    safety:
      watchdog: 0.15
      arm_without: [audio]
    command:
      upper: [0.3, 1.0]
```

On the command line of a node, `--ros-args -p safety.watchdog:=0.15`, or while it runs:

```sh
ros2 param describe /policy safety.watchdog      # meaning, type and range, as below
ros2 param set /policy command.upper "[0.3, 1.0]"
```

A robot file ([config/robots](../config/robots)) is a parameter file that holds nothing but the
parameters of the robot below. The command line `liquidspike` reads the same file and applies the
same checks. `use_sim_time` is ROS's own parameter, which every node has.

## When a new value counts

| takes effect | meaning |
|---|---|
"""
_EFFECTS = {
    Effect.START: 'Read-only. It is set when the process starts, by a parameter file or `-p`.',
    Effect.CONFIGURE: 'It can be set while the node is not configured, and counts when it is '
    'configured next: `ros2 lifecycle set /policy deactivate`, `cleanup`, set it, `configure`, '
    '`activate`.',
    Effect.AT_ONCE: 'It can be set at any time and counts from then on.',
    Effect.LOWERED_AT_ONCE: 'While the node is configured it can be moved towards what a STOP ends '
    'in, and back as far as the configured value; that counts from then on, also while driving. '
    'Beyond the configured value: as *next configure*.',
}
_END = """\
## Bag player

`bag_player` has no parameters of its own; `bag_player --help` lists the options of its command
line.
"""


def page() -> str:
    """The whole page, as Markdown."""
    robot, options = robot_declarations(), option_declarations(PolicyOptions())
    parts = [_INTRODUCTION + '\n'.join(
        f'| {effect.value} | {text} |' for effect, text in _EFFECTS.items())]
    parts += ['## Policy node: the robot', 'What a robot file describes.', *_tables(
        [('Robot', ''), *((f'Sensor {name}', f'sensors.{name}.') for name in SENSOR_TYPES),
         ('Command', 'command.')], robot)]
    parts += ['## Policy node: everything else', *_tables(
        [('Model and process', ''), ('Safety gate', 'safety.'),
         ('Synchronisation of the sensors', 'sync.')], options)]
    parts += ['## Simulated robot', 'Parameters of `sim_node`.',
              _table(option_declarations(SimOptions()))]
    parts += ['## Training node', 'Parameters of `train_node`, beside those of the robot, which '
              'are read-only here. Everything else about the training is in its `config_file`.',
              _table(option_declarations(TrainOptions()))]
    parts += ['## Training file', 'What `liquidspike train --config` and the `config_file` of '
              '`train_node` hold ([config/train.yaml](../config/train.yaml)); on the command line '
              'by dotted name, `--set optimiser.epochs=50`. `model` holds options of '
              '`RobotMultiSensorModel`.', *_tables(
                  [('Run', ''), ('Recordings and batches', 'data.'), ('Augmentation', 'augment.'),
                   ('Loss', 'loss.'), ('Optimiser', 'optimiser.')],
                  option_declarations(TrainConfig()), of_file=True)]
    return '\n\n'.join([*parts, _END])


def _tables(
    groups: Sequence[tuple[str, str]], declarations: Sequence[Declaration], of_file: bool = False
) -> list[str]:
    """A heading and a table for each group, which is what has its prefix and no longer one."""
    prefixes = sorted((prefix for _, prefix in groups), key=len, reverse=True)
    parts = []
    for title, prefix in groups:
        own = [item for item in declarations
               if next(p for p in prefixes if item.name.startswith(p)) == prefix]
        parts += [f'### {title}', _table(own, of_file)]
    return parts


def _table(declarations: Iterable[Declaration], of_file: bool = False) -> str:
    """One row each; without the column of when it counts for a file that is read once."""
    header = ['parameter', 'type', 'default', 'range', 'unit', 'takes effect', 'meaning']
    rows = [[f'`{item.name}`', _type(item), f'`{default_text(item)}`', _range(item),
             item.setting.unit, item.effect.value, item.setting.text] for item in declarations]
    if of_file:
        column = header.index('takes effect')
        for row in (header, *rows):
            del row[column]
    lines = [''.join(f'| {cell} ' if cell else '| ' for cell in row) + '|'
             for row in (header, *rows)]
    return '\n'.join([lines[0], '|---' * len(header) + '|', *lines[1:]])


def _type(item: Declaration) -> str:
    name = {float: 'double', int: 'integer', bool: 'bool', str: 'string'}[item.setting.kind]
    return f'{name} array' if item.setting.many else name


def _range(item: Declaration) -> str:
    if item.setting.choices:
        return ', '.join(f'`{choice}`' for choice in item.setting.choices)
    return item.setting.span


if __name__ == '__main__':
    print(page(), end='')  # noqa: T201
