"""The ROS libraries beside this package's own tables: the same values, and what they know more.

cv_bridge and sensor_msgs_py come with a ROS installation only; without them the tests of what they
read are skipped, and stand-ins show how they are called.
"""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from liquidspike_ros.robot import CameraSpec, LidarSpec
from liquidspike_ros.sensing import ros_decoders
from liquidspike_ros.sensing.image import convert_image
from liquidspike_ros.sensing.lidar import convert_points
from liquidspike_ros.sensing.observation import InvalidSample
from liquidspike_ros.sensing.points import read_points

SPEC = CameraSpec(width=16, height=12)
RNG = np.random.default_rng(4)
BYTES = RNG.integers(0, 256, (12, 16, 4), dtype=np.uint8)
WORDS = RNG.integers(0, 65536, (12, 16, 4), dtype=np.uint16)
CHANNELS = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4, 'mono': 1}


@pytest.fixture
def bridge(monkeypatch):
    """Puts a stand-in for cv_bridge in place; ``answer`` is what it makes of an image."""

    def install(answer):
        class CvBridge:
            def imgmsg_to_cv2(self, msg, encoding):
                assert encoding == 'rgb8'
                return answer(msg)

        module = ModuleType('cv_bridge')
        module.CvBridge = CvBridge
        monkeypatch.setitem(sys.modules, 'cv_bridge', module)
        ros_decoders._cv_bridge.cache_clear()

    yield install
    ros_decoders._cv_bridge.cache_clear()


def test_an_encoding_outside_the_table_goes_to_cv_bridge(msgs, bridge):
    bridge(lambda msg: np.full((msg.height, msg.width, 3), (1, 2, 3), np.uint8))
    data = convert_image(msgs.image(BYTES, 'p010'), SPEC).data
    assert np.array_equal(data, np.broadcast_to([1, 2, 3], SPEC.shape))


def test_one_in_the_table_does_not(msgs, bridge):
    bridge(lambda msg: pytest.fail('asked'))
    assert np.array_equal(convert_image(msgs.image(BYTES[..., :3]), SPEC).data, BYTES[..., :3])
    with pytest.raises(InvalidSample, match='depth image'):
        convert_image(msgs.image(WORDS[..., 0], '16UC1'), SPEC)


def _raise(error):
    raise error


@pytest.mark.parametrize(('answer', 'reason'), [
    (lambda msg: _raise(TypeError('unknown\n encoding')), 'cv_bridge says: unknown encoding$'),
    (lambda msg: np.zeros((2, 2), np.float32), r'cv_bridge made float32 \(2, 2\)'),
    (lambda msg: None, 'cv_bridge made'),
])
def test_what_cv_bridge_cannot_read_is_refused(msgs, bridge, answer, reason):
    bridge(answer)
    with pytest.raises(InvalidSample, match=reason):
        convert_image(msgs.image(BYTES, 'p010'), SPEC)


@pytest.mark.parametrize('error', [ImportError, AttributeError])
def test_a_cv_bridge_that_does_not_load_is_none(msgs, monkeypatch, error):
    """Built for another numpy it raises AttributeError while it is imported."""
    class Broken(ModuleType):
        def __getattr__(self, name):
            raise error(name)

    monkeypatch.setitem(sys.modules, 'cv_bridge', Broken('cv_bridge'))
    ros_decoders._cv_bridge.cache_clear()
    with pytest.raises(InvalidSample, match="got 'p010', expected one of rgb8"):
        convert_image(msgs.image(BYTES, 'p010'), SPEC)
    ros_decoders._cv_bridge.cache_clear()


def test_a_datatype_outside_the_table_goes_to_sensor_msgs_py(msgs, monkeypatch):
    module, package = ModuleType('sensor_msgs_py.point_cloud2'), ModuleType('sensor_msgs_py')
    module.dtype_from_fields = lambda fields: np.dtype(
        {'names': ['x'], 'formats': [{9: 'i8', 10: 'S8'}[fields[0].datatype]]})
    package.point_cloud2 = module
    monkeypatch.setitem(sys.modules, 'sensor_msgs_py', package)
    monkeypatch.setitem(sys.modules, 'sensor_msgs_py.point_cloud2', module)
    cloud = msgs.points([(3, 1, 0)], {'x': 'f8', 'y': 'f4', 'z': 'f4'}, big=True)
    cloud.data = np.array([(3, 1, 0)], [('x', '>i8'), ('y', '>f4'), ('z', '>f4')]).tobytes()
    for datatype in (9, 10, 11):
        cloud.fields[0].datatype = datatype
        if datatype == 9:
            assert [float(axis[0]) for axis in read_points(cloud)] == [3, 1, 0]
        else:
            with pytest.raises(InvalidSample, match=rf'x\.datatype: got {datatype}'):
                convert_points(cloud, LidarSpec())


@pytest.mark.parametrize('encoding', [
    *(f'{order}{bits}' for order in CHANNELS for bits in (8, 16)), 'yuv422', 'yuv422_yuy2',
    *(f'bayer_{pattern}8' for pattern in ('rggb', 'bggr', 'gbrg', 'grbg'))])
def test_cv_bridge_gives_the_same_image(msgs, encoding):
    cv_bridge = pytest.importorskip('cv_bridge')
    ros_decoders._cv_bridge.cache_clear()
    channels = next((CHANNELS[order] for order in CHANNELS if encoding.startswith(order)
                     and encoding[len(order)].isdigit()), 2 if encoding.startswith('yuv') else 1)
    pixels = (WORDS if encoding.endswith('16') else BYTES)[..., :channels]
    message = msgs.image(np.ascontiguousarray(pixels), encoding)
    try:
        theirs = cv_bridge.CvBridge().imgmsg_to_cv2(message, 'rgb8')
    except cv_bridge.CvBridgeError:
        pytest.skip(f'this cv_bridge does not know {encoding}')
    difference = np.abs(convert_image(message, SPEC).data.astype(int) - theirs)
    if encoding.startswith('bayer'):
        difference = difference[2:-2, 2:-2]  # releases of OpenCV differ at the border
    # 16 bits: they round, we take the high byte. YUV: another release's rounding.
    assert difference.max() <= (1 if encoding.endswith('16') or 'yuv' in encoding else 0)


@pytest.mark.parametrize('layout', [
    {}, {'big': True}, {'point_padding': 7}, {'formats': {'z': 'f8', 'x': 'f4', 'y': 'i2'}}])
def test_sensor_msgs_py_reads_the_same_points(msgs, layout):
    theirs = pytest.importorskip('sensor_msgs_py.point_cloud2')
    messages = pytest.importorskip('sensor_msgs.msg')
    plain = msgs.points(RNG.normal(size=(24, 3)) * 5, **layout)
    fields = [messages.PointField(**vars(field)) for field in plain.fields]
    message = messages.PointCloud2(
        height=1, width=24, fields=fields, is_bigendian=plain.is_bigendian, data=plain.data,
        point_step=plain.point_step, row_step=plain.row_step)
    ours = read_points(message)  # first: they swap big-endian bytes in the message itself
    points = theirs.read_points(message, ['x', 'y', 'z'])
    for axis, values in zip('xyz', ours, strict=True):
        assert np.array_equal(points[axis].astype(np.float32), values)
