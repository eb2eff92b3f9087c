"""The model a robot is driven by: camera, sensors, LiDAR and microphones to an action."""

from __future__ import annotations

import types
from typing import ClassVar, TYPE_CHECKING

from torch import nn, Tensor

from ...untrusted.text import brief
from ..modality_preprocessing import (
    AudioPreprocessor,
    LidarPreprocessor,
    SensorPreprocessor,
    VisionPreprocessor,
)
from ..multimodal_fusion import FusionInfo, ModalityType
from ..sizes import LARGEST_SIDE, require_size
from .arguments import EncoderArguments
from .model import build_network, FusionModel, image_shape, SampleShape

if TYPE_CHECKING:
    from typing_extensions import Unpack


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
        control_rate: Nominal control rate, Hz; one period is a timespan of 1 to the liquid cells.
        encoder: See ``EncoderArguments``; by default early fusion, 4 attention heads, 256 wide,
            128 liquid units, 16 spike steps, no dropout.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """

    encoder_defaults: ClassVar[EncoderArguments] = {
        'fusion_strategy': 'early', 'num_attention_heads': 4, 'encoder_dim': 256,
        'liquid_units': 128, 'num_spike_steps': 16, 'dropout': 0.0}
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
        control_rate: float = 15.0,
        **encoder: Unpack[EncoderArguments],
    ) -> None:
        super().__init__()
        arguments = self.remember(
            encoder, camera_size=camera_size, num_sensors=num_sensors, fusion_dim=fusion_dim,
            action_dim=action_dim, sensor_window=sensor_window, lidar_shape=lidar_shape,
            lidar_circular=lidar_circular, audio_channels=audio_channels,
            audio_sample_rate=audio_sample_rate, audio_window=audio_window, audio_mels=audio_mels,
            audio_pooling=audio_pooling, camera_architecture=camera_architecture,
            control_rate=control_rate)
        width = arguments['encoder_dim']
        self.sample_shapes = _sample_shapes(
            camera_size, num_sensors, sensor_window, lidar_shape, audio_channels, audio_window
        )
        preprocessors: dict[str, tuple[ModalityType, nn.Module]] = {}
        if camera_size is not None:
            preprocessors['camera'] = (ModalityType.VISION, VisionPreprocessor(
                camera_size[0], width, camera_architecture))
        if num_sensors:
            preprocessors['sensors'] = (ModalityType.SENSOR, SensorPreprocessor(
                num_sensors, width))
        if lidar_shape is not None:
            preprocessors['lidar'] = (ModalityType.SENSOR, LidarPreprocessor(
                lidar_shape[1], width, circular=lidar_circular))
        if audio_channels is not None:
            preprocessors['audio'] = (ModalityType.AUDIO, AudioPreprocessor(
                audio_sample_rate, audio_mels, width, channels=audio_channels,
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
