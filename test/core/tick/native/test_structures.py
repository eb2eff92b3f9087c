"""Structures of C and their twins in Python: the same names, fields, order and types."""

from __future__ import annotations

import ctypes
import inspect
from pathlib import Path
import re

import pytest

from liquidspike_ros.core.tick.native import structures

FOLDER = Path(structures.__file__).parent
COMMENT = re.compile(r'/\*.*?\*/', re.DOTALL)
CONSTANT = re.compile(r'(\w+) = (\d+)')
TYPES = {'float': ctypes.c_float, 'count': ctypes.c_ssize_t, 'int32_t': ctypes.c_int32}
TWINS = {name: twin for name, twin in inspect.getmembers(structures, inspect.isclass)
         if issubclass(twin, ctypes.Structure)}


def headers() -> str:
    return COMMENT.sub('', '\n'.join(path.read_text() for path in sorted(FOLDER.glob('*.h'))))


def declared(name: str) -> list[tuple[str, object]]:
    """Fields of a structure as the headers declare them, with the type that ctypes calls it by."""
    text = headers()
    (body,) = re.findall(rf'typedef struct \{{([^}}]*)\}} {name};', text)
    constants = {key: int(value) for key, value in CONSTANT.findall(text)}
    fields = []
    for declaration in filter(None, map(str.strip, body.split(';'))):
        kind, names = re.fullmatch(r'(?:const )?(\w+)\s+(.*)', declaration, re.DOTALL).groups()
        for item in names.split(','):
            pointer, field, size = re.fullmatch(
                r'\s*(\*?)\s*(\w+)(?:\[(\w+)\])?\s*', item).groups()
            found = ctypes.c_void_p if pointer else TYPES.get(kind) or TWINS[kind]
            if size:
                found = found * (constants.get(size) or int(size))
            fields.append((field, found))
    return fields


@pytest.mark.parametrize('name', sorted(TWINS))
def test_a_structure_has_the_fields_of_its_twin_in_the_same_order(name):
    assert [(field, kind) for field, kind, *_ in TWINS[name]._fields_] == declared(name)


def test_every_structure_that_python_fills_has_a_twin():
    assert len(TWINS) >= 15
    names = set(re.findall(r'\} (\w+);', headers()))
    assert set(TWINS) <= names
