from pathlib import Path
import platform

from setuptools import Extension, find_packages, setup

PACKAGE = 'liquidspike_ros'
SHARED = ('launch', 'config', 'models', 'worlds')


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
    folder = Path(PACKAGE, 'core', 'native')
    sources = [str(path) for path in sorted(folder.glob('*.c'))]
    avx2 = ['-mavx2', '-mfma']
    variants: dict[str, list[str]] = {'plain': []}
    if platform.machine() in ('x86_64', 'AMD64'):
        variants = {'avx2': avx2, 'avx512': [
            *avx2, *(f'-mavx512{part}' for part in ('f', 'bw', 'dq', 'vl'))]}
    return [
        Extension(
            f'{PACKAGE}.core.native._stages_{name}', sources, optional=True,
            depends=[str(path) for path in sorted(folder.glob('*.h'))],
            # Sums are fused where the code says so and nowhere else: the same bits everywhere.
            extra_compile_args=['-O3', '-std=c11', '-ffp-contract=off', '-fno-math-errno',
                                '-fno-trapping-math', '-fvisibility=hidden', '-fopenmp', *flags],
            extra_link_args=['-fopenmp'])
        for name, flags in variants.items()
    ]


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
        'dev': [
            'pytest', 'pytest-timeout', 'pytest-xdist', 'hypothesis', 'librosa', 'ruff', 'mypy',
            'types-PyYAML', 'colcon-core', 'colcon-ros', 'colcon-python-setup-py', 'colcon-bash',
        ],
    },
    entry_points={
        'console_scripts': [
            f'policy_node = {PACKAGE}.nodes.policy_node:main',
            f'sim_node = {PACKAGE}.nodes.sim_node:main',
            f'train_node = {PACKAGE}.nodes.train_node:main',
            f'bag_player = {PACKAGE}.nodes.bag_player:main',
            f'liquidspike = {PACKAGE}.cli:main',
        ],
    },
)
