"""The house has one direction: these tests read every import and hold modules to their layer."""

from __future__ import annotations

import ast
from pathlib import Path
import re
import subprocess
import sys

import pytest

import liquidspike_ros

ROOT = Path(liquidspike_ros.__file__).parent
PACKAGE = 'liquidspike_ros'

# torch needs and brings typing_extensions.
NEURAL = {'torch', 'numpy', 'ncps', 'snntorch', 'safetensors', 'typing_extensions'}
OFFLINE = NEURAL | {'yaml', 'cv2', 'rosbags', 'tqdm'}
COMPRESSION = {'lz4', 'backports', 'compression'}  # rosbags brings and needs them
SIMULATED = OFFLINE | {'mujoco', 'matplotlib', 'av', 'PIL'}
ROS = {
    'rclpy', 'launch', 'launch_ros', 'ament_index_python', 'message_filters', 'cv_bridge',
    'sensor_msgs_py', 'rosidl_runtime_py', 'sensor_msgs', 'geometry_msgs', 'nav_msgs', 'std_msgs',
    'std_srvs', 'diagnostic_msgs', 'lifecycle_msgs', 'rosgraph_msgs', 'builtin_interfaces',
    'rcl_interfaces', 'trajectory_msgs', 'audio_common_msgs', 'tf2_msgs',
}

# layer -> (layers of this package it may import besides itself, other packages it may import)
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    'share': (set(), set()),
    'untrusted': (set(), {'yaml'}),
    'interrupts': (set(), set()),
    'malloc': (set(), set()),
    'settings': (set(), set()),
    'robot': ({'settings'}, set()),
    'core': (set(), NEURAL),
    'sensing': ({'robot'}, {'numpy', 'cv2'}),
    'control': ({'settings', 'robot', 'sensing', 'core'}, {'torch', 'numpy'}),
    'export': ({'robot', 'control', 'core'}, {'torch', 'onnxruntime', 'onnxscript'}),
    'training': ({'settings', 'robot', 'sensing', 'control', 'core', 'share', 'malloc'},
                 OFFLINE | COMPRESSION),
    'sim': ({'settings', 'robot', 'sensing', 'control', 'core', 'share'}, SIMULATED),
    'nodes': ({'settings', 'robot', 'sensing', 'control', 'core', 'training', 'sim', 'share',
               'interrupts', 'malloc'}, SIMULATED | ROS),
    'demo': ({'robot', 'sensing', 'control', 'core', 'sim', 'share'}, SIMULATED | ROS),
    'cli': ({'robot', 'sensing', 'control', 'core', 'training', 'sim', 'share', 'demo', 'export',
             'interrupts'},
            OFFLINE),
}
# The floor below all others.
GROUND = 'untrusted'
# What a machine may lack: imported by one module only, which others import inside functions.
OPTIONAL = {'triton': 'core/spiking/triton/kernels.py', 'cv_bridge': 'sensing/ros_decoders.py',
            'sensor_msgs_py': 'sensing/ros_decoders.py'}
# Where rclpy may be imported at all, and only inside a function outside `nodes`.
TALKS_ROS = {'nodes', 'demo'}


def imports(path: Path) -> list[tuple[str, int, bool]]:
    """Every imported module as (absolute dotted name, line, imported inside a function)."""
    relative = path.relative_to(ROOT.parent).with_suffix('')
    package = list(relative.parts[:-1])
    found: list[tuple[str, int, bool]] = []

    def visit(node: ast.AST, lazy: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, child.lineno, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                stem = package[: len(package) - child.level + 1] if child.level else []
                base = '.'.join([*stem, *([child.module] if child.module else [])])
                # `from . import x` names modules; `from .m import f` names one module.
                names = [base] if child.module else [f'{base}.{a.name}' for a in child.names]
                if base == PACKAGE:
                    names = [f'{base}.{alias.name}' for alias in child.names]
                found.extend((name, child.lineno, lazy) for name in names)
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            visit(child, lazy or inside)

    visit(ast.parse(path.read_text()), False)
    return found


def layer_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix('.py')


def is_module(name: str, place: str) -> bool:
    """Whether the dotted name is the module at this place, or something in it."""
    module = f'{PACKAGE}/{place}'.removesuffix('.py').replace('/', '.')
    return f'{name}.'.startswith(f'{module}.')


def violations(path: Path) -> list[str]:
    layer = layer_of(path)
    inner, outer = LAYERS[layer]
    wrong = []
    for name, line, lazy in imports(path):
        top, _, rest = name.partition('.')
        where = f'{path.relative_to(ROOT.parent)}:{line}: {layer} imports {name}'
        if top == PACKAGE:
            target = rest.split('.')[0]
            if target in LAYERS and target not in {layer, GROUND, *inner}:
                wrong.append(where)
            wrong += [f'{where} at module level' for place in OPTIONAL.values()
                      if not lazy and is_module(name, place)]
        elif str(path.relative_to(ROOT)) == OPTIONAL.get(top):
            continue
        elif top not in sys.stdlib_module_names and top not in outer:
            wrong.append(where)
        elif top in ROS and layer != 'nodes' and not (layer in TALKS_ROS and lazy):
            wrong.append(f'{where} at module level')
    return wrong


MODULES = sorted(path for path in ROOT.rglob('*.py') if path != ROOT / '__init__.py')


@pytest.mark.parametrize('path', MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_imports_only_what_its_layer_may(path: Path) -> None:
    assert layer_of(path) in LAYERS, f'{path} belongs to no layer'
    assert not violations(path)


def test_package_itself_imports_nothing() -> None:
    assert imports(ROOT / '__init__.py') == []


@pytest.mark.parametrize(
    ('place', 'source', 'caught'),
    [
        ('core', 'import numpy as np', False),
        ('core', 'def f():\n    import rclpy', True),
        ('core', 'from ..robot import RobotSpec', True),
        ('settings', 'from ..robot import RobotSpec', True),
        ('robot', 'from ..settings import setting', False),
        ('core', 'from .. import sensing', True),
        ('core', 'from ..untrusted.text import brief', False),
        ('untrusted', 'from ..robot import RobotSpec', True),
        ('sensing', 'from ..robot import RobotSpec', False),
        ('sensing', 'import torch', True),
        ('sim', 'from liquidspike_ros.nodes import messages', True),
        ('sim', 'from liquidspike_ros import nodes', True),
        ('cli', 'from ..nodes.policy_node import main', True),
        ('cli', 'import rclpy', True),
        ('core', 'from ..export.formats import trace', True),
        ('nodes', 'from ..export.write import export', True),
        ('demo', 'import rclpy', True),
        ('demo', 'def f():\n    import rclpy', False),
        ('nodes', 'from sensor_msgs.msg import Image', False),
        ('core', 'import triton', True),
        ('core', 'def f():\n    import triton', True),
        ('core/spiking/triton', 'from .kernels import lif_forward', True),
        ('core/spiking/triton', 'from . import kernels', True),
        ('core/spiking/triton', 'def f():\n    from .kernels import lif_forward', False),
        ('sim', 'from liquidspike_ros.core.spiking.triton.kernels import lif_forward', True),
    ],
)
def test_rules_catch_what_they_forbid(
    place: str, source: str, caught: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / PACKAGE
    (root / place).mkdir(parents=True)
    module = root / place / 'module.py'
    module.write_text(source)
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', root)
    assert bool(violations(module)) == caught


BLOCKED_IMPORT = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {blocked!r}:
            raise ImportError(f'{{name}} is not installed here')

sys.meta_path.insert(0, Block())
import importlib
for name in {names!r}:
    importlib.import_module(name)
"""


@pytest.mark.parametrize(
    ('folder', 'blocked'),
    [
        ('core', {'rclpy', 'rosbags', 'mujoco', 'cv2', 'yaml', 'tqdm', 'matplotlib', 'av',
                  *OPTIONAL}),
        ('sensing', {'rclpy', 'rosbags', 'mujoco', 'torch', 'tqdm'}),
        ('control', {'rclpy', 'rosbags', 'mujoco', 'tqdm'}),
        ('export', {'rclpy', 'rosbags', 'mujoco', 'tqdm', 'onnx', 'onnxscript', 'onnxruntime'}),
        ('training', {'rclpy', 'mujoco'}),
        ('sim', {'rclpy'}),
    ],
)
def test_layer_imports_on_a_machine_without(folder: str, blocked: set[str]) -> None:
    names = [
        '.'.join(path.relative_to(ROOT.parent).with_suffix('').parts).removesuffix('.__init__')
        for path in sorted((ROOT / folder).rglob('*.py'))
        if str(path.relative_to(ROOT)) not in OPTIONAL.values()
    ]
    code = BLOCKED_IMPORT.format(blocked=sorted(blocked), names=names)
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                            timeout=120, check=False)
    assert result.returncode == 0, result.stderr.strip().splitlines()[-1]


def test_core_has_no_import_circle():
    """Also none by imports inside functions or for type checkers."""
    modules = {path: name_of(path) for path in (ROOT / 'core').rglob('*.py')}
    known = set(modules.values())
    edges: dict[str, set[str]] = {}
    for path, name in modules.items():
        edges[name] = set()
        for target, _, _ in imports(path):
            while target and target not in known:
                target = target.rpartition('.')[0]
            # A module of a package is imported through it, which is no circle of theirs.
            if target and target != name and not name.startswith(f'{target}.'):
                edges[name].add(target)
    while leaves := {name for name, targets in edges.items() if not targets & edges.keys()}:
        for name in leaves:
            del edges[name]
    assert not edges, f'these import each other, or such modules: {sorted(edges)}'


# Ranks inside core: a module imports from its own rank, or one below. What is named nowhere has no
# rank of its own and lies below all others.
RANKS = (
    {'spiking', 'liquid'},
    {'tick'},
    {'modality_preprocessing', 'multimodal_fusion'},
    {'multimodal_applications', 'stages'},
    {'checkpoint', 'deployment'},
)


def rank_of(name: str) -> int:
    """Of a dotted name below ``core``; 0 for the modules that everybody may use."""
    part = name.removeprefix(f'{PACKAGE}.core.').partition('.')[0]
    return next((rank for rank, names in enumerate(RANKS, 1) if part in names), 0)


@pytest.mark.parametrize('path', sorted((ROOT / 'core').rglob('*.py')),
                         ids=lambda p: str(p.relative_to(ROOT)))
def test_core_imports_from_its_own_rank_or_below(path: Path) -> None:
    rank = rank_of(name_of(path))
    assert not [name for name, _, _ in imports(path)
                if name.startswith(f'{PACKAGE}.core.') and rank_of(name) > rank]


def test_every_rank_exists() -> None:
    found = {path.stem for path in (ROOT / 'core').iterdir()}
    assert set().union(*RANKS) <= found


FOLDERS = sorted({path.parent for path in MODULES if path.parent != ROOT})


@pytest.mark.parametrize('folder', FOLDERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_names_its_modules(folder: Path) -> None:
    """Its docstring is the map that a newcomer reads: it names every module and folder in it."""
    said = set(re.findall(r'``([\w./]+)``', ast.get_docstring(
        ast.parse((folder / '__init__.py').read_text())) or ''))
    there = {path.stem for path in folder.glob('*.py') if not path.stem.startswith('_')}
    there |= {path.parent.name for path in folder.glob('*/__init__.py')}
    assert not there - said, f'not named: {sorted(there - said)}'


def test_a_public_class_has_its_name_for_itself() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert not {name: where for name, where in places.items() if len(where) > 1}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)
