"""Sensor windows and LiDAR scans to features: 1D convolutions that keep position."""

from __future__ import annotations

import torch
from torch import nn, Tensor


class SensorPreprocessor(nn.Module):
    """Sensor readings ``[B, num_sensors]`` or ``[B, num_sensors, T]`` to ``[B, output_dim]``.

    Convolves along the last axis (time, or angle for a scan) and flattens ``positions`` places
    along it, so that when, or where, something was measured is kept.

    Args:
        num_sensors: Channels.
        output_dim: Width of the features.
        hidden_channels: Channels of the convolutions.
        positions: Places along the last axis that reach the linear layer.
        stride: Stride of both convolutions.
        circular: The axis closes on itself, as the beams of a LiDAR over the full circle do.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        num_sensors: int,
        output_dim: int = 128,
        *,
        hidden_channels: int = 32,
        positions: int = 4,
        stride: int = 1,
        circular: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (('num_sensors', num_sensors), ('positions', positions),
                            ('stride', stride)):
            if value < 1:
                raise ValueError(f'{name}: got {value!r}, expected at least 1')
        self.num_sensors, self.output_dim = num_sensors, output_dim
        self.padding_mode = 'circular' if circular else 'replicate'
        self.convolutions = nn.ModuleList([
            nn.Conv1d(num_sensors, hidden_channels, 5, stride),
            nn.Conv1d(hidden_channels, hidden_channels, 5, stride),
        ])
        self.pool = nn.AdaptiveAvgPool1d(positions)
        self.head = nn.Linear(hidden_channels * positions, output_dim)

    def forward(self, readings: Tensor) -> Tensor:
        """``[B, num_sensors]`` or ``[B, num_sensors, T]`` -> ``[B, output_dim]``.

        Raises:
            ValueError: Another shape.
        """
        if readings.dim() not in (2, 3) or readings.shape[1] != self.num_sensors:
            raise ValueError(f'sensors: got shape {tuple(readings.shape)}, expected '
                             f'[B, {self.num_sensors}] or [B, {self.num_sensors}, T]')
        x = readings if readings.dim() == 3 else readings.unsqueeze(-1)
        for convolution in self.convolutions:
            x = nn.functional.silu(convolution(self._pad(x)))
        return nn.functional.silu(self.head(self.pool(x).flatten(1)))

    def _pad(self, x: Tensor) -> Tensor:
        # A circle of fewer than two places cannot wrap by two; there it is constant anyway.
        mode = self.padding_mode if x.shape[-1] >= 2 else 'replicate'
        return nn.functional.pad(x, (2, 2), mode=mode)


class LidarPreprocessor(nn.Module):
    """A scan ``[B, 2, beams]`` (range / range_max, validity) to ``[B, output_dim]``.

    Adds a proximity channel: in linear range the last half metre, where collisions happen, is a
    sixteenth of the scale. Invalid beams read as far away in both channels.

    Args:
        beams: Beams of a scan; beam 0 and the last are neighbours when ``circular``.
        output_dim: Width of the features.
        hidden_channels: Channels of the convolutions.
        circular: Whether the scan covers the full circle.
    """

    def __init__(
        self, beams: int, output_dim: int = 128, *, hidden_channels: int = 32,
        circular: bool = True,
    ) -> None:
        super().__init__()
        if beams < 4:
            raise ValueError(f'beams: got {beams!r}, expected at least 4')
        self.beams, self.output_dim = beams, output_dim
        self.convolution = SensorPreprocessor(
            3, output_dim, hidden_channels=hidden_channels, stride=2, circular=circular,
            positions=min(45, -(-beams // 4)),
        )

    def forward(self, scan: Tensor) -> Tensor:
        """``[B, 2, beams]`` -> ``[B, output_dim]``.

        Raises:
            ValueError: Another shape.
        """
        if scan.dim() != 3 or tuple(scan.shape[1:]) != (2, self.beams):
            raise ValueError(f'lidar: got shape {tuple(scan.shape)}, expected [B, 2, {self.beams}]')
        distance, valid = scan.unbind(1)
        distance = torch.where(valid > 0.5, distance, 1.0)
        proximity = torch.exp(-8.0 * distance)
        return self.convolution(torch.stack([distance, proximity, valid], 1))
