import os
from pathlib import Path
import platform
import shlex
import shutil
import sysconfig
import zlib

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, CompileError

PACKAGE = 'liquidspike_ros'
SHARED = ('launch', 'config', 'models', 'worlds')
NATIVE = Path(PACKAGE, 'core', 'tick', 'native')
OPENMP = '-fopenmp'


def shared_files() -> list[tuple[str, list[str]]]:
    """Everything below the shared folders, to the same place below share/<package>."""
    found: dict[str, list[str]] = {}
    for folder in SHARED:
        for path in sorted(Path(folder).rglob('*')):
            if path.is_file() and '__pycache__' not in path.parts:
                found.setdefault(f'share/{PACKAGE}/{path.parent.as_posix()}', []).append(str(path))
    return list(found.items())


def native_extensions() -> list[Extension]:
    """The C code of single ticks, once for each kind of processor; the package works without.

    It is opened as a plain library, not imported, and needs nothing of Python's headers.
    """
    checksum = zlib.crc32(b''.join(path.read_bytes() for path in sorted(NATIVE.glob('*.[ch]'))))
    avx2 = ['-mavx2', '-mfma']
    variants: dict[str, list[str]] = {'plain': []}
    if platform.machine() in ('x86_64', 'AMD64'):
        variants = {'avx2': avx2, 'avx512': [
            *avx2, *(f'-mavx512{part}' for part in ('f', 'bw', 'dq', 'vl'))]}
    return [
        Extension(
            f'{PACKAGE}.core.tick.native._stages_{name}',
            [str(path) for path in sorted(NATIVE.glob('*.c'))], optional=True,
            # Sums are fused where the code says so and nowhere else: the same bits everywhere.
            extra_compile_args=['-O3', '-std=c11', '-ffp-contract=off', '-fno-math-errno',
                                '-fno-trapping-math', '-fvisibility=hidden', OPENMP, *flags],
            define_macros=[('LIQUIDSPIKE_SOURCES', f'{checksum}u')],
            extra_link_args=[OPENMP],
            libraries=['m'])  # fmaf, on processors that have no instruction for it
        for name, flags in variants.items()
    ]


def without_openmp(extension: Extension) -> None:
    """Let a library do without threads."""
    for flags in (extension.extra_compile_args, extension.extra_link_args):
        flags[:] = [flag for flag in flags if flag != OPENMP]


class BuildNative(build_ext):
    """Builds what can be built here; what cannot is missing, and a line says what that costs."""

    command_name = 'build_ext'

    def run(self) -> None:
        # The interpreter may have been built by another compiler than the one that is here.
        if not shutil.which(shlex.split(sysconfig.get_config_var('CC') or 'cc')[0]):
            os.environ.setdefault('CC', 'cc')
        super().run()

    def build_extensions(self) -> None:
        # One after the other, even with --parallel: their object files have the same names.
        failed: dict[str, Exception] = {}
        for extension in self.extensions:
            # Named this late because colcon's links to them would make egg_info complain.
            extension.depends = [str(path) for path in sorted(NATIVE.glob('*.h'))]
            try:
                self.build_extension(extension)
            except (CCompilerError, BaseError) as error:
                failed[extension.name] = error
                # One that an earlier call left is of other sources.
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
        # Old setuptools would look for all of them, optional or not.
        self.extensions = [each for each in self.extensions if each.name not in failed]
        if failed:
            names = ', '.join(name.rpartition('.')[2] for name in failed)
            self.warn(f'{names} not built, single ticks of the fusion core run in torch instead, '
                      f'at about half the speed: {next(iter(failed.values()))}')

    def build_extension(self, extension: Extension) -> None:
        compiler = getattr(self.compiler, 'compiler_so', ['cl'])[0]
        try:
            super().build_extension(extension)
        except CCompilerError as error:
            if not shutil.which(compiler):
                raise CompileError(f'there is no C compiler ({compiler}); sudo apt-get install '
                                   'gcc, then install again') from error
            if OPENMP not in extension.extra_link_args:
                raise
            without_openmp(extension)
            super().build_extension(extension)
            for other in self.extensions:
                without_openmp(other)
            self.warn(f'{compiler} has no OpenMP: every single tick runs on one thread')

    def copy_extensions_to_source(self) -> None:
        # What was built in place before goes, also where nothing takes its place.
        for old in NATIVE.glob(f'_stages_*{sysconfig.get_config_var("EXT_SUFFIX")}'):
            old.unlink()
        super().copy_extensions_to_source()


setup(
    name=PACKAGE,
    version='0.1.0',
    description='Liquid-spiking multimodal policies for ROS 2 robots',
    license='Apache-2.0',
    maintainer='liquidspike_ros maintainers',
    maintainer_email='maintainers@liquidspike.example',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed']},
    ext_modules=native_extensions(),
    cmdclass={'build_ext': BuildNative},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        *shared_files(),
    ],
    zip_safe=False,
    install_requires=['torch>=2.4', 'numpy', 'ncps', 'snntorch', 'safetensors'],
    extras_require={
        # Real ROS 2 (Kilted) for a host without it. Where ROS is installed, leave this out.
        'ros': [
            'ros-rclpy', 'ros-rmw-fastrtps-cpp', 'ros-sensor-msgs', 'ros-geometry-msgs',
            'ros-nav-msgs', 'ros-std-msgs', 'ros-std-srvs', 'ros-diagnostic-msgs',
            'ros-trajectory-msgs', 'ros-lifecycle-msgs', 'ros-rosgraph-msgs',
            'opencv-python-headless', 'pyyaml',
        ],
        'sim': [
            'mujoco', 'rosbags', 'opencv-python-headless', 'av', 'matplotlib', 'pyyaml', 'tqdm',
        ],
        'train': ['rosbags', 'opencv-python-headless', 'pyyaml', 'tqdm'],
        # ONNX: written by onnx and onnxscript, checked by onnxruntime.
        'export': ['onnx', 'onnxscript', 'onnxruntime'],
        # By this name `colcon test` finds out that it is pytest that runs the tests.
        'test': ['pytest', 'pytest-timeout', 'hypothesis'],
        'dev': [
            'pytest', 'pytest-timeout', 'pytest-xdist', 'hypothesis', 'librosa', 'ruff', 'mypy',
            'types-PyYAML', 'colcon-core', 'colcon-ros', 'colcon-python-setup-py', 'colcon-bash',
        ],
    },
    entry_points={
        'console_scripts': [
            f'policy_node = {PACKAGE}.nodes.start:main_policy_node',
            f'sim_node = {PACKAGE}.nodes.start:main_sim_node',
            f'train_node = {PACKAGE}.nodes.start:main_train_node',
            f'bag_player = {PACKAGE}.nodes.start:main_bag_player',
            f'liquidspike = {PACKAGE}.cli:main',
        ],
    },
)
