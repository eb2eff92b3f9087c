"""One entry for all types, and nothing but a sample or a reason comes out of it."""

from __future__ import annotations

import array
import copy
import math
from types import SimpleNamespace as Message

from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from liquidspike_ros.robot import (
    AUDIO_TYPES,
    AudioSpec,
    CameraSpec,
    IMAGE_TYPES,
    IMU_TYPES,
    ImuSpec,
    LIDAR_TYPES,
    LidarSpec,
)
from liquidspike_ros.sensing.converters import convert, CONVERTERS
from liquidspike_ros.sensing.observation import InvalidSample, Sample

SPECS = {
    **dict.fromkeys(IMAGE_TYPES, CameraSpec(width=8, height=8)),
    **dict.fromkeys(IMU_TYPES, ImuSpec()),
    **dict.fromkeys(LIDAR_TYPES, LidarSpec(beams=8)),
    **dict.fromkeys(AUDIO_TYPES, AudioSpec(channels=2)),
}
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def valid(msgs, type_name):
    import cv2

    pcm = np.arange(8, dtype='<i2')
    return {
        'sensor_msgs/msg/Image': lambda: msgs.image(PIXELS),
        'sensor_msgs/msg/CompressedImage': lambda: msgs.compressed(
            cv2.imencode('.png', PIXELS)[1].tobytes()),
        'sensor_msgs/msg/Imu': msgs.imu,
        'sensor_msgs/msg/LaserScan': lambda: msgs.scan(np.linspace(1, 2, 12)),
        'sensor_msgs/msg/PointCloud2': lambda: msgs.points([(1, 2, 0), (-1, 2, 0)]),
        AUDIO_TYPES[0]: lambda: msgs.audio(pcm, [('frames', 4), ('channels', 2)]),
        AUDIO_TYPES[1]: lambda: Message(data=pcm.tobytes()),
        AUDIO_TYPES[2]: lambda: Message(header=msgs.header(5), audio=Message(data=pcm.tobytes())),
    }[type_name]()


def check(sample, spec):
    """Everything the layers above rely on."""
    assert isinstance(sample, Sample)
    assert isinstance(sample.stamp, int)
    assert sample.stamp >= 0
    shape = {ImuSpec: (6,), AudioSpec: (spec.shape[0], sample.data.shape[-1])}.get(
        type(spec), spec.shape)
    assert sample.data.shape == shape
    assert sample.data.dtype == (np.uint8 if isinstance(spec, CameraSpec) else np.float32)
    assert sample.data.size > 0
    assert sample.data.flags.c_contiguous
    assert np.isfinite(sample.data).all()
    if isinstance(spec, LidarSpec):
        assert (sample.data[0] >= 0).all()
        assert (sample.data[0] <= spec.range_max).all()
        assert set(np.unique(sample.data[1])) <= {0, 1}
    if isinstance(spec, AudioSpec):
        assert np.abs(sample.data).max() <= 1


def check_reason(reason):
    assert reason
    assert len(reason) < 400
    assert '\n' not in reason


@pytest.mark.parametrize('type_name', CONVERTERS)
def test_every_type_has_a_converter_that_takes_a_valid_message(msgs, type_name):
    check(convert(valid(msgs, type_name), type_name, SPECS[type_name]), SPECS[type_name])


def test_any_type_of_the_kind_serves_but_no_other(msgs):
    camera = SPECS['sensor_msgs/msg/Image']
    assert camera.type != 'sensor_msgs/msg/CompressedImage'
    name = 'sensor_msgs/msg/CompressedImage'
    assert convert(valid(msgs, name), name, camera).data.shape == (8, 8, 3)
    with pytest.raises(InvalidSample, match='got sensor_msgs/msg/Imu, expected sensor_msgs/msg/Im'):
        convert(msgs.imu(), 'sensor_msgs/msg/Imu', camera)
    with pytest.raises(InvalidSample, match='got std_msgs/msg/String'):
        convert(Message(data='x'), 'std_msgs/msg/String', camera)


def _fill(target, plain):
    """Copy a plain message into a generated one, field by field."""
    for name, value in vars(plain).items():
        if isinstance(value, Message):
            _fill(getattr(target, name), value)
        elif isinstance(value, list) and value and isinstance(value[0], Message):
            continue
        elif isinstance(getattr(target, name), array.array):
            setattr(target, name, array.array(getattr(target, name).typecode, value))
        else:
            setattr(target, name, value)


@pytest.mark.parametrize('name', ['Image', 'Imu', 'LaserScan'])
def test_rclpy_messages_give_the_same(msgs, name):
    module = pytest.importorskip('sensor_msgs.msg')
    type_name = f'sensor_msgs/msg/{name}'
    plain, message = valid(msgs, type_name), getattr(module, name)()
    _fill(message, plain)
    spec = SPECS[type_name]
    if name == 'LaserScan':  # float32 fields
        for field in ('angle_min', 'angle_max', 'angle_increment'):
            setattr(plain, field, float(np.float32(getattr(plain, field))))
    assert np.array_equal(convert(message, type_name, spec).data,
                          convert(plain, type_name, spec).data)


@pytest.mark.parametrize('name', ['Image', 'Imu', 'LaserScan', 'PointCloud2'])
def test_rosbags_messages_give_the_same(msgs, name):
    typesys = pytest.importorskip('rosbags.typesys')
    store = typesys.get_typestore(typesys.Stores.ROS2_KILTED)
    type_name = f'sensor_msgs/msg/{name}'
    plain = valid(msgs, type_name)

    def build(kind, value):
        cls = store.types[kind]
        fields = {}
        for field, (node, detail) in store.get_msgdef(kind).fields:
            item = getattr(value, field, None)
            if node.name == 'NAME':
                fields[field] = build(detail, item)
            elif node.name == 'BASE':
                fields[field] = {'string': str, 'bool': bool}.get(
                    detail[0], float if 'float' in detail[0] else int)(item or 0)
            else:
                inner_node, inner = detail[0]
                if inner_node.name == 'NAME':
                    fields[field] = [build(inner, v) for v in item]
                else:
                    item = np.frombuffer(item, np.uint8) if isinstance(item, bytes) else item
                    fields[field] = np.asarray([0.0] * 9 if item is None else item, inner[0])
        return cls(**fields)

    message = build(type_name, plain)
    wire = store.serialize_cdr(message, type_name)
    decoded = store.deserialize_cdr(wire, type_name)
    spec = SPECS[type_name]
    if name == 'LaserScan':
        for field in ('angle_min', 'angle_max', 'angle_increment'):
            setattr(plain, field, float(np.float32(getattr(plain, field))))
    assert np.array_equal(convert(decoded, type_name, spec).data,
                          convert(plain, type_name, spec).data)


GARBAGE = st.one_of(
    st.none(), st.booleans(), st.integers(-2**70, 2**70), st.integers(-3, 300),
    st.floats(width=64), st.sampled_from([math.nan, math.inf, -math.inf, 0, -1, 2**31, 2**32 - 1]),
    st.text(max_size=8), st.binary(max_size=64), st.lists(st.integers(-300, 70000), max_size=40),
    st.lists(st.floats(), max_size=40), st.lists(st.text(max_size=2), max_size=3),
    st.sampled_from(['mono16', 'bayer_rggb8', 'yuv422', 'bgra8', 'rgb16', '8UC1', '\0', '32FC1']),
    st.builds(lambda n: np.full(n, np.nan, np.float32), st.integers(0, 20)),
    st.builds(lambda n: np.zeros((n, 2), np.uint8), st.integers(0, 99)),
    st.builds(object), st.builds(Message), st.builds(dict),
)


def _paths(value, prefix=()):
    for name, item in vars(value).items():
        yield (*prefix, name)
        items = item if isinstance(item, list) else [item]
        for i, inner in enumerate(items[:4]):
            if isinstance(inner, Message):
                yield from _paths(inner, (*prefix, name) + ((i,) if items is item else ()))


def _spoil(message, path, value, delete):
    *way, last = path
    for step in way:
        try:
            message = message[step] if isinstance(step, int) else getattr(message, step)
        except (AttributeError, TypeError, IndexError, KeyError):
            return  # spoilt already
    if isinstance(message, Message):
        if delete:
            vars(message).pop(last, None)
        else:
            setattr(message, last, value)


@settings(max_examples=120, deadline=None, suppress_health_check=[
    HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
@pytest.mark.parametrize('type_name', CONVERTERS)
@pytest.mark.filterwarnings('error')
def test_garbage_gives_a_sample_or_a_reason_and_nothing_else(msgs, type_name, data):
    message, spec = copy.deepcopy(valid(msgs, type_name)), SPECS[type_name]
    paths = list(_paths(message))
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(paths))
        _spoil(message, path, data.draw(GARBAGE), data.draw(st.integers(0, 7)) == 0)
    try:
        check(convert(message, type_name, spec), spec)
    except InvalidSample as error:
        check_reason(str(error))


@settings(max_examples=150, deadline=None, suppress_health_check=[
    HealthCheck.function_scoped_fixture])
@given(start=st.floats(-7, 7), increment=st.floats(-3, 3), spoiled=st.lists(
    st.floats(width=32), min_size=1, max_size=50), low=st.floats(), high=st.floats(),
    span=st.integers(-3, 3))
def test_any_scan_geometry(msgs, start, increment, spoiled, low, high, span):
    message = msgs.scan(spoiled, start=start, increment=increment, range_min=low, range_max=high)
    message.angle_max += span * increment
    try:
        sample = convert(message, LIDAR_TYPES[0], LidarSpec(beams=8))
    except InvalidSample:
        return
    check(sample, LidarSpec(beams=8))


@settings(max_examples=150, deadline=None, suppress_health_check=[
    HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 200), flips=st.lists(st.tuples(st.integers(0, 10**6),
                                                         st.integers(1, 255)), max_size=6))
@pytest.mark.parametrize('extension', ['.png', '.jpg'])
def test_any_damaged_file(msgs, extension, cut, flips):
    import cv2

    raw = bytearray(cv2.imencode(extension, PIXELS)[1].tobytes())
    for at, flip in flips:
        raw[at % len(raw)] ^= flip
    message = msgs.compressed(bytes(raw[:len(raw) - cut]))
    spec = CameraSpec(width=8, height=8)
    try:
        sample = convert(message, IMAGE_TYPES[1], spec)
    except InvalidSample:
        return
    check(sample, spec)
