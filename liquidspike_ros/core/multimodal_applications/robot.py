"""The model a robot is driven by: camera, sensors, LiDAR and microphones to an action."""

from __future__ import annotations

from collections.abc import Mapping
import types
from typing import Any

from torch import nn, Tensor

from ...untrusted.text import brief
from ..modality_preprocessing import (
    AudioPreprocessor,
    LidarPreprocessor,
    SensorPreprocessor,
    VisionPreprocessor,
)
from ..multimodal_fusion import FusionInfo, FusionStrategy, ModalityType
from ..sizes import LARGEST_SIDE, require_size
from .model import build_network, FusionModel, image_shape, SampleShape


class RobotMultiSensorModel(FusionModel):
    """A robot's senses to its action, tick after tick.

    Inputs, each optional at any tick, by name:

    ======= ============================================================================
    camera  ``[B, C, H, W]`` in [0, 1]
    sensors ``[B, num_sensors]`` or ``[B, num_sensors, sensor_window]``, physical units
    lidar   ``[B, 2, beams]``: range / range_max, validity (0 or 1)
    audio   ``[B, audio_channels, samples]`` in [−1, 1]
    ======= ============================================================================

    The action is unbounded; limits belong to the safety gate that stands after the model.

    Args:
        camera_size: ``(C, H, W)``; None for a robot without camera.
        num_sensors: Scalar sensor channels (IMU, joints, …); 0 for none.
        fusion_dim: Width of the fused features.
        action_dim: Width of the action; 7 is six degrees of freedom and a gripper.
        sensor_window: Samples per tick of the scalar sensors; None for one reading.
        lidar_shape: ``(2, beams)``; None for a robot without LiDAR.
        lidar_circular: Whether the scan covers the full circle.
        audio_channels: Microphones; None for a robot without.
        audio_sample_rate: Hz.
        audio_window: Samples per tick; any if None.
        audio_mels: Mel bands.
        audio_pooling: How a window of sound is summed up; see ``AudioPreprocessor``.
        camera_architecture: ``'efficient'``, ``'simple'`` or ``'resnet'``.
        fusion_strategy: ``'early'``, ``'late'``, ``'hybrid'`` or ``'hierarchical'``.
        num_attention_heads: Heads of cross-modal attention.
        encoder_dim: Width of preprocessed and encoded features.
        liquid_units: Liquid units per encoder, and of the joint memory.
        spiking_units: Neurons per modality.
        num_spike_steps: Spike steps per tick.
        beta: Initial membrane decay per spike step.
        backbone: Liquid cell: ``'cfc'``, ``'ltc'``, ``'ncp'`` or ``'ncp_ltc'``.
        backbone_options: Further arguments of the liquid cells, such as ``{'mixed_memory':
            True}``; see ``ModalityConfig``.
        coding: How features reach the neurons: ``'direct'``, ``'rate'``, ``'latency'`` or
            ``'delta'``; see ``spike_coding``.
        spiking_options: Further arguments of the neurons, such as ``{'reset': 'zero'}``; see
            ``ModalityConfig``.
        dropout: Dropout of encoded features.
        modality_dropout: Chance that a modality is dropped while training.
        control_rate: Nominal control rate, Hz; one period is a timespan of 1 to the liquid cells.
        backend: ``'fused'`` or ``'reference'``.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """

    earlier = types.MappingProxyType({'audio_pooling': 'last'})

    def __init__(
        self,
        camera_size: tuple[int, int, int] | None = (3, 224, 224),
        num_sensors: int = 10,
        fusion_dim: int = 512,
        action_dim: int = 7,
        *,
        sensor_window: int | None = None,
        lidar_shape: tuple[int, int] | None = None,
        lidar_circular: bool = True,
        audio_channels: int | None = None,
        audio_sample_rate: int = 16000,
        audio_window: int | None = None,
        audio_mels: int = 40,
        audio_pooling: str = 'attention',
        camera_architecture: str = 'efficient',
        fusion_strategy: FusionStrategy | str = 'early',
        num_attention_heads: int = 4,
        encoder_dim: int = 256,
        liquid_units: int = 128,
        spiking_units: int = 128,
        num_spike_steps: int = 16,
        beta: float = 0.95,
        backbone: str = 'cfc',
        backbone_options: Mapping[str, Any] | None = None,
        coding: str = 'direct',
        spiking_options: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        modality_dropout: float | Mapping[str, float] = 0.0,
        control_rate: float = 15.0,
        backend: str = 'fused',
    ) -> None:
        arguments = dict(locals())
        super().__init__()
        self.remember(arguments)
        self.sample_shapes = _sample_shapes(
            camera_size, num_sensors, sensor_window, lidar_shape, audio_channels, audio_window
        )
        preprocessors: dict[str, tuple[ModalityType, nn.Module]] = {}
        if camera_size is not None:
            preprocessors['camera'] = (ModalityType.VISION, VisionPreprocessor(
                camera_size[0], encoder_dim, camera_architecture))
        if num_sensors:
            preprocessors['sensors'] = (ModalityType.SENSOR, SensorPreprocessor(
                num_sensors, encoder_dim))
        if lidar_shape is not None:
            preprocessors['lidar'] = (ModalityType.SENSOR, LidarPreprocessor(
                lidar_shape[1], encoder_dim, circular=lidar_circular))
        if audio_channels is not None:
            preprocessors['audio'] = (ModalityType.AUDIO, AudioPreprocessor(
                audio_sample_rate, audio_mels, encoder_dim, channels=audio_channels,
                pooling=audio_pooling))
        self.network = build_network(preprocessors, action_dim, arguments,
                                     dt_scale=control_rate)
        self.action_dim = action_dim

    def forward(
        self,
        camera: Tensor | None,
        sensors: Tensor | None,
        lidar: Tensor | None = None,
        audio: Tensor | None = None,
        return_modality_features: bool = False,
        return_attention_maps: bool = False,
    ) -> Tensor | tuple[Tensor, FusionInfo]:
        """One tick from rest: the action ``[B, action_dim]``, or ``(action, info)``.

        A frame and a row of sensors without a batch give an action ``[action_dim]``.

        Raises:
            ValueError: Names the input, what was got and what was expected.
        """
        return self._once(return_modality_features, return_attention_maps,
                          camera=camera, sensors=sensors, lidar=lidar, audio=audio)


def _sample_shapes(
    camera_size: tuple[int, int, int] | None,
    num_sensors: int,
    sensor_window: int | None,
    lidar_shape: tuple[int, int] | None,
    audio_channels: int | None,
    audio_window: int | None,
) -> dict[str, SampleShape]:
    """Shape of one sample by modality; None for a size that is free.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """
    shapes: dict[str, SampleShape] = {}
    if camera_size is not None:
        shapes['camera'] = image_shape('camera_size', camera_size)
    if num_sensors:
        window = () if sensor_window is None else (sensor_window,)
        shapes['sensors'] = (num_sensors, *window)
    if lidar_shape is not None:
        if (not isinstance(lidar_shape, (tuple, list)) or len(lidar_shape) != 2
                or lidar_shape[0] != 2):
            raise ValueError(f'lidar_shape: got {brief(lidar_shape)}, expected (2, beams)')
        require_size('lidar_shape', lidar_shape[1], least=4, largest=LARGEST_SIDE)
        shapes['lidar'] = tuple(lidar_shape)
    if audio_channels is not None:
        shapes['audio'] = (audio_channels, audio_window)
    if not shapes:
        raise ValueError('camera_size, num_sensors, lidar_shape, audio_channels: got none of '
                         'them, expected at least one sensor')
    return shapes
