"""A safetensors header is believed only as far as the file goes."""

from __future__ import annotations

from io import BytesIO
import json

from hypothesis import given, settings, strategies
import pytest
import safetensors.torch
import torch

from liquidspike_ros.core.weights_file import read_header, TensorEntry, WeightsRefusal

GOOD = {'a': {'dtype': 'F32', 'shape': [2, 3], 'data_offsets': [0, 24]},
        'b': {'dtype': 'I64', 'shape': [], 'data_offsets': [24, 32]}}


def packed(header: object, data: int = 32) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(text).to_bytes(8, 'little') + text + bytes(data)


def read(content: bytes):
    return read_header(BytesIO(content), len(content))


def test_what_the_library_writes_is_read():
    tensors = {'w': torch.zeros(2, 3), 'n': torch.zeros((), dtype=torch.int64),
               'flags': torch.zeros(5, dtype=torch.bool), 'half': torch.zeros(4).bfloat16()}
    content = safetensors.torch.save(tensors, metadata={'note': 'x'})
    header = read(content)
    assert header is not None
    assert header.tensors == {name: TensorEntry(value.dtype, tuple(value.shape))
                              for name, value in tensors.items()}
    assert header.metadata == {'note': 'x'}
    assert header.size == len(content)


@pytest.mark.parametrize('length', [128, 0x4B50])
def test_a_length_that_begins_like_a_pickle_is_a_length(length):
    content = packed(json.dumps(GOOD).ljust(length))
    assert content[:2] == length.to_bytes(2, 'little')
    assert read(content) is not None


@pytest.mark.parametrize('content', [b'', b'1234567', packed(GOOD)[:-1], packed(GOOD)[:20],
                                     (1000).to_bytes(8, 'little') + b'{}'])
def test_what_is_cut_off_is_told_apart(content):
    assert read(content) is None


def changed(**fields: object) -> dict:
    return GOOD | {'b': GOOD['b'] | fields}


@pytest.mark.parametrize(('content', 'said'), [
    (b'\x80\x04\x95\x0b' + bytes(9), 'a pickle, expected safetensors'),
    (b'PK\x03\x04zip file', 'a pickle'),
    ((1 << 63).to_bytes(8, 'little') + b'{}', 'a header of 9,223,372,036,854,775,808 bytes'),
    (packed('nonsense'), r'not safetensors \(header: not JSON'),
    (packed('[]'), 'header: got list, expected an object'),
    (packed('{"a": ' * 100), r'not safetensors \(header: '),
    (packed('{"a": 1, "a": 2}'), "the key 'a' is there twice"),
    (packed('\x00\x01'), 'header: not JSON'),
    (packed({'a': 1}), 'a: dtype: got None, expected one of F64'),
    (packed({'__metadata__': 1}), '__metadata__'),
    (packed({'__metadata__': {'a': [1]}}), '__metadata__: expected text'),
    (packed(changed(dtype='F8')), "b: dtype: got 'F8', expected one of"),
    (packed(changed(dtype=['F32'])), 'b: dtype: got'),
    (packed(changed(shape=[-1])), 'b: shape: got'),
    (packed(changed(shape=[1.0])), 'b: shape: got'),
    (packed(changed(shape=[True])), 'b: shape: got'),
    (packed(changed(shape=[1] * 9)), 'b: shape: got'),
    (packed(changed(shape=[10**30])), 'b: shape: got'),
    (packed(changed(shape=[1 << 40, 1 << 40])), 'b: data_offsets: got .*, expected 96714'),
    (packed(changed(data_offsets=[24, 31])), 'b: data_offsets: got .*, expected 8 bytes'),
    (packed(changed(data_offsets=[32, 24])), 'b: data_offsets: got'),
    (packed(changed(data_offsets=[16, 24])), 'b: data_offsets: got .*, expected a begin at 24'),
    (packed(changed(data_offsets=[32, 40]), 40), 'b: data_offsets: got .*, expected a begin at 24'),
    (packed(changed(data_offsets=[24])), 'b: data_offsets: got'),
    (packed(GOOD, 33), r'got \d+ bytes, expected \d+ by its header'),
])
def test_a_header_that_is_wrong_is_named_in_one_line(content, said):
    with pytest.raises(WeightsRefusal, match=said) as caught:
        read(content)
    assert len(str(caught.value)) <= 500
    assert str(caught.value).isprintable()


@settings(max_examples=200, deadline=None)
@given(place=strategies.integers(0, 120), added=strategies.binary(max_size=6),
       removed=strategies.integers(0, 6))
def test_any_change_is_read_refused_or_told_apart(place, added, removed):
    content = packed(GOOD)
    try:
        read(content[:place] + added + content[place + removed:])
    except WeightsRefusal:
        return
