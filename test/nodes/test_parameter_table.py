"""docs/parameters.md is what the nodes declare."""

from __future__ import annotations

from pathlib import Path
import re

from liquidspike_ros.nodes.declarations import option_declarations, robot_declarations
from liquidspike_ros.nodes.options import PolicyOptions
from liquidspike_ros.nodes.parameter_table import page
from liquidspike_ros.nodes.sim_node import SimOptions
from liquidspike_ros.nodes.train_node import TrainOptions
from liquidspike_ros.training.configuration import TrainConfig

PAGE = Path(__file__).parents[2] / 'docs' / 'parameters.md'


def test_the_page_is_what_is_generated() -> None:
    assert PAGE.read_text() == page(), (
        'python -m liquidspike_ros.nodes.parameter_table > docs/parameters.md')


def test_every_parameter_has_one_row_of_as_many_cells_as_the_heading() -> None:
    rows = [re.split(r' ?\| ?', line)[1:-1] for line in PAGE.read_text().splitlines()
            if line.startswith('| `')]
    declared = [*robot_declarations(), *option_declarations(PolicyOptions()),
                *option_declarations(SimOptions()), *option_declarations(TrainOptions())]
    from_files = option_declarations(TrainConfig())
    assert sorted(row[0] for row in rows) == sorted(
        f'`{item.name}`' for item in [*declared, *from_files])
    widths = [len(row) for row in rows]
    assert widths == [7] * len(declared) + [6] * len(from_files)
