"""What the C code takes weights in: its structures, by field."""

from __future__ import annotations

import ctypes
from typing import Any, ClassVar

_Pointer, _Count, _Float, _Int = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_float,
                                  ctypes.c_int32)


class Affine(ctypes.Structure):
    """Layers side by side: weight ``[M, I, O]`` (``[M, O, I]`` if by output), bias ``[M, O]``."""

    _fields_: ClassVar[Any] = [
        ('weight', _Pointer), ('bias', _Pointer), ('layers', _Count), ('inputs', _Count),
        ('outputs', _Count), ('by_output', _Count)]


class Liquid(ctypes.Structure):
    """Liquid cells side by side."""

    _fields_: ClassVar[Any] = [
        ('first', Affine), ('heads', Affine), ('dt_scale', _Float), ('gated', _Int)]


class Encoders(ctypes.Structure):
    """Encoders side by side."""

    _fields_: ClassVar[Any] = [
        ('current', Affine), ('readout', Affine), ('liquid', Liquid), ('silent', _Pointer),
        ('beta', _Pointer), ('threshold', _Pointer), ('steps', _Count), ('norm_eps', _Float),
        ('unused', _Int)]


class Attention(ctypes.Structure):
    """One level of attention."""

    _fields_: ClassVar[Any] = [
        ('projection', Affine), ('output', Affine), ('gain', _Pointer), ('shift', _Pointer),
        ('groups', _Pointer), ('heads', _Count), ('norm_eps', _Float), ('unused', _Int)]


class Head(ctypes.Structure):
    """Two layers with a SiLU between, or several such heads side by side."""

    _fields_: ClassVar[Any] = [('first', Affine), ('last', Affine)]


class Core(ctypes.Structure):
    """Projection, joint memory and head behind the attention."""

    _fields_: ClassVar[Any] = [('projection', Affine), ('memory', Liquid), ('head', Head)]


class Adapters(ctypes.Structure):
    """What stands before the shared encoder of early fusion."""

    _fields_: ClassVar[Any] = [
        ('layers', Affine), ('absent', _Pointer), ('norm_eps', _Float), ('unused', _Int)]


class Tick(ctypes.Structure):
    """Late, hybrid or hierarchical fusion."""

    _fields_: ClassVar[Any] = [
        ('encoders', Encoders), ('core', Core), ('votes', Head), ('levels', _Pointer),
        ('level_count', _Count)]


class EarlyTick(ctypes.Structure):
    """Early fusion."""

    _fields_: ClassVar[Any] = [('adapters', Adapters), ('shared', Encoders), ('head', Head)]


class Convolution(ctypes.Structure):
    """A convolution over maps that lie channels-last."""

    _fields_: ClassVar[Any] = [
        ('weight', _Pointer), ('bias', _Pointer), ('inputs', _Count), ('outputs', _Count),
        ('rows', _Count), ('columns', _Count), ('stride', _Count)]


class SimpleImage(ctypes.Structure):
    """A picture to features, by the 'simple' trunk."""

    _fields_: ClassVar[Any] = [
        ('trunk', Convolution * 3), ('scale', _Pointer), ('shift', _Pointer), ('head', Affine),
        ('rows', _Count), ('columns', _Count)]


class GroupNorm(ctypes.Structure):
    """Gain and bias of a group norm."""

    _fields_: ClassVar[Any] = [
        ('gain', _Pointer), ('bias', _Pointer), ('channels', _Count), ('groups', _Count),
        ('eps', _Float), ('unused', _Int)]


class InvertedBlock(ctypes.Structure):
    """One block of the 'efficient' trunk."""

    _fields_: ClassVar[Any] = [
        ('expand', _Pointer), ('depthwise', _Pointer), ('project', _Pointer),
        ('expanded', GroupNorm), ('filtered', GroupNorm), ('projected', GroupNorm),
        ('stride', _Count), ('residual', _Count)]


class EfficientImage(ctypes.Structure):
    """A picture to features, by the 'efficient' trunk."""

    _fields_: ClassVar[Any] = [
        ('stem', _Pointer), ('norm', GroupNorm), ('blocks', _Pointer), ('block_count', _Count),
        ('channels', _Count), ('scale', _Pointer), ('shift', _Pointer), ('head', Affine),
        ('rows', _Count), ('columns', _Count)]


class Window(ctypes.Structure):
    """A window of scalar sensors, or a scan, to features."""

    _fields_: ClassVar[Any] = [
        ('first', Convolution), ('last', Convolution), ('head', Affine), ('positions', _Count),
        ('circular', _Int), ('scan', _Int)]


class Sound(ctypes.Structure):
    """Sound to features."""

    _fields_: ClassVar[Any] = [
        ('trunk', Convolution * 3), ('convolution', Convolution), ('input', Affine),
        ('recurrent', Affine), ('scores', Affine), ('lags', Affine), ('head', Affine),
        ('window', _Pointer), ('turns', _Pointer), ('mel', _Pointer), ('bands', _Pointer),
        ('channels', _Count), ('mels', _Count), ('size', _Count), ('hop', _Count),
        ('floor', _Float), ('norm_eps', _Float)]


class Sense(ctypes.Structure):
    """One sense of a policy."""

    _fields_: ClassVar[Any] = [
        ('weights', _Pointer), ('kind', _Count), ('height', _Count), ('width', _Count)]


class Policy(ctypes.Structure):
    """All of a policy."""

    _fields_: ClassVar[Any] = [
        ('senses', _Pointer), ('tick', _Pointer), ('logits', _Pointer), ('usual', _Pointer),
        ('cells', _Count), ('features', _Count), ('early', _Count), ('populations', _Count),
        ('neurons', _Count), ('units', _Count), ('memory', _Count), ('adapted', _Count),
        ('actions', _Count)]


def sizes() -> int:
    """One number for the sizes of all of them, as the C code computes it."""
    kinds = (Affine, Liquid, Encoders, Attention, Head, Core, Adapters, Tick, EarlyTick,
             Convolution, SimpleImage, Window, Sound, Sense, Policy, InvertedBlock,
             EfficientImage)
    return sum(10**place * ctypes.sizeof(kind) for place, kind in enumerate(kinds))
