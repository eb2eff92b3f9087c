"""Ways of running one policy tick: what each gains over the plain eager step, batch of one.

CPU: the eager step as it comes; batch norms folded, convolutions channels-last, both; derived
weights kept unseen; static buffers; bfloat16; with ``--compile`` also torch.compile (minutes).
GPU, where there is one: stock build, eager step and captured step, with p50 and p99.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
import copy
import time
from typing import Any

from interleave import interleaved, machine, print_rows, ROOT, write
import numpy as np
from stock_build import StockBuild, StockCamera, StockSignal
import torch
from torch import nn

from liquidspike_ros.control.compiled_step import CompiledStep
from liquidspike_ros.control.eager_step import EagerStep, Stepper
from liquidspike_ros.control.policy_runtime import PolicyRuntime
from liquidspike_ros.control.rehearsal import compare, rehearsal
from liquidspike_ros.control.static_step import StaticStep
from liquidspike_ros.control.tensors import observation_tensors, robot_model_config
from liquidspike_ros.core.checkpoint import from_pretrained
from liquidspike_ros.core.deployment import (
    deploy,
    fold_batch_norms,
    freeze_derived_weights,
    lay_out_channels_last,
)
from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
from liquidspike_ros.robot import load_robot, RobotSpec
from liquidspike_ros.sensing.observation import Observation

WIDTH, SPIKING, LIQUID, STEPS = 512, 128, 128, 32
BAR_RATIO, BAR_P99 = 15.0, 1.0  # captured against the stock build; ms


def default_robot() -> RobotSpec:
    """All four sensors, a 224×224 camera."""
    return RobotSpec.from_dict({'sensors': {'camera': {'width': 224, 'height': 224}}})


def policies() -> dict[str, tuple[nn.Module, RobotSpec]]:
    """What is measured: the shipped policy, and default sizes with two trunks."""
    robot = default_robot()
    beacon, _ = from_pretrained(ROOT / 'models/beacon')
    result: dict[str, tuple[nn.Module, RobotSpec]] = {
        'models/beacon': (beacon, load_robot(ROOT / 'config/robots/beacon.yaml'))}
    for architecture in ('efficient', 'resnet'):
        result[f'224x224, {architecture}'] = (RobotMultiSensorModel(
            **robot_model_config(robot), camera_architecture=architecture,
            num_spike_steps=STEPS), robot)
    return {name: (model.eval(), robot) for name, (model, robot) in result.items()}


def variant(model: nn.Module, fold: bool = False, channels_last: bool = False,
            keep: bool = False) -> nn.Module:
    """A copy with some of what a deployed policy may get."""
    result = copy.deepcopy(model)
    if fold:
        fold_batch_norms(result)
    if keep:
        freeze_derived_weights(result)
    if channels_last:
        lay_out_channels_last(result)
    return result


def ticking(stepper: Stepper | PolicyRuntime, drive: list[Observation]) -> Callable[[], object]:
    """Steps from observation to observation, round and round."""
    count = 0

    @torch.inference_mode()
    def tick() -> object:
        nonlocal count
        count += 1
        return stepper.step(drive[count % len(drive)])

    return tick


def healthy(robot: RobotSpec) -> list[Observation]:
    """Observations with every sensor there, as nearly all ticks are."""
    return [obs for obs in rehearsal(robot, 64) if all(obs.present.values())]


def on_cpu(model: nn.Module, robot: RobotSpec, rounds: int, with_compile: bool
           ) -> dict[str, dict[str, float]]:
    """Medians of all ways, and how far their actions are from those of the plain step."""
    cpu, drive = torch.device('cpu'), healthy(robot)
    plain = variant(model)
    # A copy each: of two cases in a row with the same weights, the second finds them in the cache.
    steppers: dict[str, Stepper] = {
        'eager': EagerStep(variant(model), robot, cpu),
        'folded': EagerStep(variant(model, fold=True), robot, cpu),
        'channels-last': EagerStep(variant(model, channels_last=True), robot, cpu),
        'folded, channels-last': EagerStep(variant(model, fold=True, channels_last=True),
                                           robot, cpu),
        'weights kept unseen': EagerStep(variant(model, keep=True), robot, cpu),
        'all three, as deployed': EagerStep(deploy(model), robot, cpu),
        'static buffers': StaticStep(variant(model), robot, cpu),
        'bfloat16': EagerStep(variant(model), robot, cpu, torch.bfloat16),
    }
    if with_compile:
        steppers['compile'] = CompiledStep(variant(model), robot, cpu)
    apart = {name: compare(EagerStep(plain, robot, cpu), stepper, rehearsal(robot)).action
             for name, stepper in steppers.items()}
    rows = interleaved({name: ticking(stepper, drive) for name, stepper in steppers.items()},
                       rounds)
    return {name: row | {'action_apart': apart[name]} for name, row in rows.items()}


def stock(robot: RobotSpec, device: str) -> Callable[[], object]:
    """The stock build on the same observations, tensors to the device and action back."""
    parts = {'camera': StockCamera(WIDTH), 'sensors': StockSignal(6, WIDTH),
             'lidar': StockSignal(2, WIDTH), 'audio': StockSignal(robot.audio.channels, WIDTH, 4)}
    build = StockBuild(parts, width=WIDTH, spiking_units=SPIKING, liquid_units=LIQUID,
                       output_dim=robot.command.width, num_spike_steps=STEPS).to(device).eval()
    drive, state, count = healthy(robot), None, 0

    @torch.inference_mode()
    def tick() -> object:
        nonlocal state, count
        count += 1
        inputs, _ = observation_tensors(drive[count % len(drive)], robot)
        action, state = build.step({name: x.to(device) for name, x in inputs.items()}, state)
        return action.cpu()

    return tick


def on_gpu(model: nn.Module, robot: RobotSpec, rounds: int, device: str = 'cuda'
           ) -> dict[str, dict[str, Any]]:
    """p50 and p99 of the stock build, and of the runtime in every mode and precision."""
    cases, notes = {'stock': stock(robot, device)}, {}
    for name, runtime, precision in (
            ('eager', 'eager', 'float32'), ('captured', 'cudagraph', 'float32'),
            ('captured, bfloat16', 'cudagraph', 'bfloat16'),
            ('captured, float16', 'cudagraph', 'float16')):
        policy = PolicyRuntime(model, robot, device, runtime=runtime, precision=precision)
        policy.warm_up()
        notes[name] = {'mode': policy.mode, 'precision': policy.precision,
                       'reason': policy.reason or policy.precision_reason}
        cases[name] = ticking(policy, healthy(robot))
    spent: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            for k in range(4):
                begin = time.perf_counter()
                call()  # waits for the device: the action is on the host
                if k:
                    spent[name].append(1e3 * (time.perf_counter() - begin))
    return {name: {'p50_ms': float(np.percentile(times, 50)),
                   'p99_ms': float(np.percentile(times, 99)), **notes.get(name, {})}
            for name, times in spent.items()}


def print_gpu(rows: Mapping[str, Mapping[str, Any]]) -> None:
    for name, row in rows.items():
        ran = f'{row["mode"]}, {row["precision"]} {row["reason"]}' if 'mode' in row else ''
        print(f'{name:26s}p50 {row["p50_ms"]:7.3f} ms  p99 {row["p99_ms"]:7.3f} ms'
              f'{rows["stock"]["p50_ms"] / row["p50_ms"]:8.2f}× stock  {ran}')
    captured = rows['captured']
    ratio = rows['stock']['p50_ms'] / captured['p50_ms']
    met = captured['mode'] == 'cudagraph' and ratio >= BAR_RATIO and captured['p99_ms'] < BAR_P99
    print(f'bar: captured {ratio:.1f}× stock (expected ≥ {BAR_RATIO:g}), p99 '
          f'{captured["p99_ms"]:.3f} ms (expected < {BAR_P99:g}): {"met" if met else "MISSED"}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--threads', type=int, default=1, help='as policy_node has it')
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--compile', action='store_true', help='torch.compile too: minutes')
    parser.add_argument('--gpu-only', action='store_true', help='leave out the CPU (minutes)')
    parser.add_argument('--no-write', action='store_true', help='only print')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(machine())
    rows, gpu_rows = {}, {}
    for name, (model, robot) in () if arguments.gpu_only else policies().items():
        print(f'\n{name}, CPU')
        rows[name] = on_cpu(model, robot, arguments.rounds, arguments.compile)
        print_rows(rows[name], 'eager')
        print('actions apart: ' + ', '.join(
            f'{case} {row["action_apart"]:.1g}' for case, row in rows[name].items()))
    if rows and not arguments.no_write:
        write('policy_runtime', rows)
    if not torch.cuda.is_available():
        print('\nno GPU: captured step not measured')
        return
    for name, (model, robot) in policies().items():
        if robot != default_robot():
            continue
        print(f'\n{name}, {torch.cuda.get_device_name()}')
        gpu_rows[name] = on_gpu(model, robot, 4 * arguments.rounds)
        print_gpu(gpu_rows[name])
    if not arguments.no_write:
        write('policy_runtime_gpu', {'device': torch.cuda.get_device_name(), **gpu_rows})


if __name__ == '__main__':
    main()
