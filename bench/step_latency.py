"""How long one control step takes, batch of one.

core   everything behind the preprocessors: features of four modalities in, action out
whole  raw sensors to action: the stock build sees through ResNet-18 and Conv1d, ours as it comes
"""

from __future__ import annotations

from functools import partial

from comparison import Bench, Section
from fusion_core import SIZES, with_deployed
from pictures import Panel
from robot_step import whole_steps

BENCH = Bench(
    name='step_latency', doc=__doc__, title='One control step, batch of one, against the stock '
    'build', rounds=100,
    sections=[
        Section(name='core, default', build=partial(with_deployed, SIZES['default']),
                about='spiking 128, liquid 256, 32 spike steps, width 512'),
        Section(name='core, small', build=partial(with_deployed, SIZES['small']),
                about='spiking 64, liquid 64, 32 spike steps, width 128'),
        Section(name='whole, small', build=partial(whole_steps, 'small'), share=0.4,
                about="64² camera, 'simple' trunk, sizes as the small core"),
        Section(name='whole, default', build=partial(whole_steps, 'default'), share=0.4,
                about="224² camera, 'efficient' trunk, RobotMultiSensorModel's own sizes"),
    ],
    panels=[
        Panel(section='core, default', bar=22, bare=1.05,
              title='fusion core, spiking 128, liquid 256, width 512: times faster than stock'),
        Panel(section='core, small', bar=100,
              title='fusion core, spiking 64, liquid 64, width 128: times faster than stock'),
        Panel(section='whole, small', bar=25,
              title='raw sensors to action, 64² camera, small core: times faster than stock'),
        Panel(section='whole, default', bar=10,
              title='raw sensors to action, 224² camera, default sizes: times faster than stock'),
    ],
    columns={'over_bare': '.2f', 'over_bare_cpu': '.2f', 'operator_calls': 'd'},
)

if __name__ == '__main__':
    BENCH.main()
