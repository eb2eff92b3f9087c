"""What makes the folder a ROS package and a Python package, and that both say the same."""

from __future__ import annotations

import ast
from functools import partial
import os
from pathlib import Path
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import xml.etree.ElementTree as ElementTree

import pytest

import liquidspike_ros
from liquidspike_ros.core.tick.native.library import variant_for

ROOT = Path(__file__).parents[1]
PACKAGE = 'liquidspike_ros'
NATIVE = Path(PACKAGE, 'core', 'tick', 'native')
COMPILER = shutil.which('cc') or shutil.which('gcc')
in_one_workspace = pytest.mark.xdist_group('workspace')
needs_compiler = pytest.mark.skipif(COMPILER is None, reason='needs a C compiler')


def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def setup_arguments() -> dict[str, ast.expr]:
    """The keyword arguments of ``setup()``, unevaluated."""
    tree = ast.parse((ROOT / 'setup.py').read_text())
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call)
               and isinstance(node.func, ast.Name) and node.func.id == 'setup')
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def required() -> set[str]:
    """Names of all distributions that some installation needs, normalised."""
    arguments = setup_arguments()
    strings = [node.value for name in ('install_requires', 'extras_require')
               for node in ast.walk(arguments[name])
               if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    extras = {key.value for key in arguments['extras_require'].keys}  # type: ignore[attr-defined]
    return {normalised(text) for text in strings if text not in extras}


def normalised(requirement: str) -> str:
    return re.split(r'[<>=!;\s]', requirement)[0].lower().replace('_', '-')


def test_version_and_name_are_the_same_everywhere() -> None:
    arguments = setup_arguments()
    assert manifest().findtext('name') == PACKAGE
    assert manifest().findtext('version') == liquidspike_ros.__version__
    assert ast.literal_eval(arguments['version']) == liquidspike_ros.__version__


def test_manifest_is_an_ament_python_package() -> None:
    assert manifest().get('format') == '3'
    assert manifest().findtext('export/build_type') == 'ament_python'
    assert manifest().findtext('license') == 'Apache-2.0'
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()


def test_manifest_names_every_message_package_the_nodes_import() -> None:
    depends = {element.text for element in manifest().iter('exec_depend')}
    used = set()
    for path in (ROOT / PACKAGE).rglob('*.py'):
        found = re.findall(r'^\s*(?:from|import) (\w+_msgs|std_srvs|rclpy|launch\w*)\b',
                           path.read_text(), re.M)
        used |= set(found)
    # Part of rclpy itself, and used only where installed.
    assert used - depends <= {'builtin_interfaces', 'rcl_interfaces', 'audio_common_msgs'}
    assert {'rclpy', 'sensor_msgs', 'geometry_msgs'} <= used


def test_manifest_asks_for_a_c_compiler() -> None:
    # The key that rosdep has for one: there is none called gcc, and an unknown one stops rosdep.
    assert 'g++-static' in {element.text for element in manifest().iter('buildtool_depend')}
    assert 'ext_modules' in setup_arguments()


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    pins = {normalised(line) for line in lines if line and not line.startswith('#')}
    assert required() - pins == set()
    assert all('==' in line for line in lines if line and not line.startswith('#'))
    assert 'torch==2.13.0' in lines


def test_colcon_is_told_what_runs_the_tests() -> None:
    # By nothing else: package.xml alone gives "Ran 0 tests" and success.
    (tested,) = [value for key, value in zip(
        setup_arguments()['extras_require'].keys, setup_arguments()['extras_require'].values,
        strict=True) if ast.literal_eval(key) == 'test']
    wanted = {normalised(text) for text in ast.literal_eval(tested)}
    assert 'pytest' in wanted
    # A ROS machine has what rosdep brings, and no more.
    brought = {element.text for element in manifest().iter('test_depend')}
    assert {f'python3-{name}' for name in wanted} == brought


def test_every_marker_is_known_without_the_plugin_it_belongs_to() -> None:
    used = {name for path in (ROOT / 'test').rglob('*.py')
            for name in re.findall(r'pytest\.mark\.(\w+)', path.read_text())}
    known = set(re.findall(r"^    '(\w+)[:(]", (ROOT / 'pyproject.toml').read_text(), re.M))
    builtin = {'parametrize', 'skip', 'skipif', 'xfail', 'usefixtures', 'filterwarnings'}
    assert used - builtin - known == set()


@pytest.mark.xdist_group('together')
def test_tests_of_a_group_go_to_one_worker(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption('loadgroup', False):
        pytest.skip('not under pytest-xdist')
    assert request.node.nodeid.endswith('@together')


def test_every_executable_leads_to_a_function() -> None:
    entries = [node.value for node in ast.walk(setup_arguments()['entry_points'])
               if isinstance(node, ast.Constant) and ':main' in str(node.value)]
    texts = re.findall(r"f'(\w+) = \{PACKAGE\}\.([\w.]+):(\w+)'", (ROOT / 'setup.py').read_text())
    assert len(texts) == len(entries) == 5
    for name, module, function in texts:
        path = ROOT / PACKAGE / Path(*module.split('.'))
        source = path.with_suffix('.py') if path.with_suffix('.py').exists() else (
            path / '__init__.py')
        assert re.search(rf'\b{function}\b', source.read_text()), name


def test_continuous_integration_runs_what_everybody_runs() -> None:
    assert (ROOT / '.ci' / 'run').read_text().strip().splitlines()[-1] == 'exec make test'
    assert os.access(ROOT / '.ci' / 'run', os.X_OK)


def test_hosted_continuous_integration_runs_the_same() -> None:
    import yaml

    (job,) = yaml.safe_load((ROOT / '.github/workflows/ci.yml').read_text())['jobs'].values()
    commands = [line.split()[0] for step in job['steps']
                for line in step.get('run', '').splitlines()]
    assert [command for command in commands if command != 'sudo'] == ['.ci/run']
    assert 'secrets' not in str(job)
    (cached,) = [step['with']['cache-dependency-path'] for step in job['steps']
                 if 'cache-dependency-path' in step.get('with', {})]
    assert (ROOT / cached).is_file()
    least = ast.literal_eval(setup_arguments()['python_requires']).removeprefix('>=')
    versions = job['strategy']['matrix']['python']
    assert least in versions
    assert all(isinstance(version, str) for version in versions), '3.10 is no number'


def test_hooks_before_a_commit_are_those_of_make_lint() -> None:
    import yaml

    (repository,) = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())['repos']
    assert {hook['language'] for hook in repository['hooks']} == {'system'}
    recipe = re.search(r'^lint:.*\n((?:\t.*\n)+)', (ROOT / 'Makefile').read_text(), re.M)[1]
    linted = set(re.findall(r'-m (\w+)', recipe))
    assert linted == {'ruff', 'mypy'}
    assert {re.search(r'-m (\w+)', hook['entry'])[1] for hook in repository['hooks']} == linted


def test_smoke_tests_are_there_and_stand_on_every_floor() -> None:
    named = (ROOT / 'test/smoke.txt').read_text().split()
    for line in named:
        path, _, name = line.partition('::')
        source = (ROOT / path).read_text()
        assert not name or f'def {name.partition("[")[0]}(' in source, line
    floors = {Path(line).parts[1] for line in named}
    assert {'core', 'sensing', 'control', 'export', 'training', 'sim', 'nodes', 'faults'} <= floors
    assert any('_dds.py' in line for line in named)


@pytest.mark.skipif(shutil.which('make') is None, reason='needs make')
def test_make_alone_explains_itself() -> None:
    shown = subprocess.run(['make', '-C', str(ROOT)], capture_output=True, text=True, check=True)
    for target in ('demo', 'test', 'smoke', 'setup', 'lint'):
        assert f'make {target}' in shown.stdout


def copy_sources(path: Path) -> Path:
    """The package as it comes, without what was built in place."""
    skipped = shutil.ignore_patterns('.*', 'out', 'build', 'dist', 'install', 'log', '*.egg-info',
                                     '__pycache__', '*.so')
    shutil.copytree(ROOT, path, ignore=skipped)
    return path


def run_setup(path: Path, *arguments: str, compiler: Path | None = None) -> str:
    """What ``setup.py`` warns of, in a copy of the sources."""
    environment = {**os.environ, 'CC': str(compiler)} if compiler else None
    return subprocess.run([sys.executable, 'setup.py', '-q', *arguments], cwd=path, check=True,
                          env=environment, timeout=120, capture_output=True, text=True).stderr


def program(path: Path, script: str) -> Path:
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    return path


def build_workspace(path: Path, **environment: str) -> str:
    """Make a ROS workspace with this package and build it; what colcon passed on of warnings."""
    pytest.importorskip('colcon_core', reason="colcon is in the extra 'dev'")
    copy_sources(path / 'src' / PACKAGE)
    return subprocess.run([sys.executable, '-m', 'colcon', 'build', '--base-paths', 'src'],
                          cwd=path, check=True, timeout=240, capture_output=True, text=True,
                          env={**os.environ, **environment}).stderr


@pytest.fixture(scope='module')
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('workspace')
    build_workspace(path)
    return path


def in_workspace(workspace: Path, command: str) -> str:
    """Run a command as a user would, after sourcing the workspace, from somewhere else."""
    clean = {name: value for name, value in os.environ.items()
             if name not in ('PYTHONPATH', 'AMENT_PREFIX_PATH', 'LIQUIDSPIKE_NATIVE')}
    script = f'. {workspace}/install/setup.bash && cd / && {command}'
    return subprocess.run(['bash', '-c', script], env=clean, check=True, timeout=120,
                          capture_output=True, text=True).stdout


def native_in_workspace(workspace: Path) -> tuple[str, list[Path]]:
    """Why ticks do not run in C, '' if they do; and the libraries that were opened for it."""
    asked = """if True:
        from liquidspike_ros.core.tick import native
        print(native.reason())
        with open('/proc/self/maps') as maps:
            print(*{line.split()[-1] for line in maps if '_stages_' in line}, sep='\\n')"""
    out = in_workspace(workspace, f'{sys.executable} -c {shlex.quote(asked)}')
    reason, *opened = out.splitlines()
    if 'processor' in reason:
        pytest.skip(reason)
    return reason, [Path(path) for path in opened if path]


@pytest.mark.slow
@in_one_workspace
def test_colcon_puts_executables_where_ros2_run_looks(workspace: Path) -> None:
    folder = workspace / 'install' / PACKAGE / 'lib' / PACKAGE
    names = {path.name for path in folder.iterdir()}
    assert names == {'policy_node', 'train_node', 'sim_node', 'bag_player', 'liquidspike'}
    assert all(os.access(path, os.X_OK) for path in folder.iterdir())


@pytest.mark.slow
@in_one_workspace
def test_colcon_installs_what_travels_beside_the_code(workspace: Path) -> None:
    share = workspace / 'install' / PACKAGE / 'share'
    assert (share / 'ament_index/resource_index/packages' / PACKAGE).is_file()
    for folder in ('launch', 'config', 'models'):
        wanted = {path.relative_to(ROOT) for path in (ROOT / folder).rglob('*')
                  if path.is_file() and '__pycache__' not in path.parts}
        assert wanted, folder
        assert all((share / PACKAGE / path).is_file() for path in wanted)


@pytest.mark.slow
@in_one_workspace
def test_executables_run_from_the_workspace(workspace: Path) -> None:
    prefix = workspace / 'install' / PACKAGE
    program = prefix / 'lib' / PACKAGE / 'liquidspike'
    out = in_workspace(workspace, f'{program} info config/robots/beacon.yaml')
    # The workspace's own robot file, though this interpreter may have the source tree installed.
    assert str(prefix / 'share' / PACKAGE / 'config/robots/beacon.yaml') in out
    assert 'camera/image_raw' in out


def colcon_test(workspace: Path, *files: str) -> tuple[int, str]:
    """Test a workspace as its user does: exit status of the result, and what it says."""
    clean = {name: value for name, value in os.environ.items() if name != 'PYTEST_ADDOPTS'}
    run = partial(subprocess.run, cwd=workspace, timeout=240, capture_output=True, text=True,
                  env=clean)
    run([sys.executable, '-m', 'colcon', 'test', '--base-paths', 'src', '--pytest-args', *files])
    result = run([sys.executable, '-m', 'colcon', 'test-result', '--verbose'])
    return result.returncode, result.stdout


@pytest.mark.slow
@in_one_workspace
def test_colcon_runs_the_tests_and_says_which_fail(workspace: Path) -> None:
    status, said = colcon_test(workspace, 'test/robot/test_description.py')
    count = int(re.search(r'Summary: (\d+) tests, 0 errors, 0 failures', said)[1])
    assert (status, count > 30) == (0, True)
    failing = workspace / 'src' / PACKAGE / 'test' / 'test_failing.py'
    failing.write_text('def test_that_fails():\n    assert 1 == 2\n')
    status, said = colcon_test(workspace, 'test/test_failing.py')
    failing.unlink()
    assert status != 0
    assert 'test_that_fails' in said
    assert 'Summary: 1 test, 0 errors, 1 failure' in said


@pytest.mark.slow
@in_one_workspace
@needs_compiler
def test_ticks_run_by_the_library_that_colcon_built(workspace: Path) -> None:
    reason, opened = native_in_workspace(workspace)
    assert reason == ''
    # Not by the one in the source tree, though this interpreter may have that installed.
    assert len(opened) == 1
    assert opened[0].is_relative_to(workspace / 'install' / PACKAGE / 'lib')


@pytest.mark.slow
@pytest.mark.parametrize(('script', 'why'), [('exit 1', 'failed with exit code 1'),
                                             (None, 'there is no C compiler')])
def test_without_a_compiler_colcon_builds_the_rest(
        tmp_path: Path, script: str | None, why: str) -> None:
    compiler = program(tmp_path / 'cc', script) if script else tmp_path / 'nowhere'
    shown = build_workspace(tmp_path / 'workspace', CC=str(compiler))
    assert [why in line for line in shown.splitlines() if 'single ticks' in line] == [True]
    reason, opened = native_in_workspace(tmp_path / 'workspace')
    assert 'install again where there is a C compiler' in reason
    assert not opened


def test_a_library_of_older_sources_does_not_outlive_a_build_that_fails(tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / 'sources')
    variant = variant_for('AVX2', platform.machine())
    name = NATIVE / f'_stages_{variant}{sysconfig.get_config_var("EXT_SUFFIX")}'
    for older in (sources / name, sources / 'lib' / name):
        older.parent.mkdir(parents=True, exist_ok=True)
        older.touch()
        os.utime(older, (0, 0))
    run_setup(sources, 'build_ext', '--inplace', '--build-lib', 'lib',
              compiler=program(tmp_path / 'cc', 'exit 1'))
    assert list(sources.rglob('*.so')) == []


@pytest.mark.slow
@needs_compiler
def test_a_compiler_without_openmp_builds_libraries_without_threads(tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / 'sources')
    script = f'case "$*" in *openmp*) exit 1;; esac\nexec {COMPILER} "$@"'
    compiler = program(tmp_path / 'cc', script)
    shown = run_setup(sources, 'build_ext', '--inplace', compiler=compiler)
    assert shown.count('has no OpenMP') == 1
    assert 'not built' not in shown
    built = list((sources / NATIVE).glob('_stages_*.so'))
    assert built
    assert not any(b'GOMP_parallel' in path.read_bytes() for path in built)


@pytest.mark.slow
def test_source_distribution_holds_what_a_build_needs(tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / 'sources')
    run_setup(sources, 'sdist')
    (archive,) = (sources / 'dist').iterdir()
    with tarfile.open(archive) as opened:
        held = {Path(*Path(name).parts[1:]) for name in opened.getnames()}
    wanted = {Path('setup.cfg'), Path('pyproject.toml'), Path('package.xml'),
              Path('constraints.txt'), Path('resource', PACKAGE)}
    for folder in (NATIVE, Path('launch'), Path('config'), Path('models')):
        wanted |= {path.relative_to(sources) for path in (sources / folder).rglob('*')
                   if path.is_file()}
    assert {path.suffix for path in wanted} >= {'.c', '.h', '.safetensors'}
    assert wanted - held == set()
