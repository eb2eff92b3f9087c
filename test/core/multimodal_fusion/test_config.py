from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.modality_preprocessing import SensorPreprocessor
from liquidspike_ros.core.multimodal_fusion import (
    ModalityConfig,
    ModalityType,
    MultiModalFusionNetwork,
)

GOOD = {'type': 'sensor', 'input_dim': 4}


def test_defaults_are_what_was_agreed():
    config = ModalityConfig.parse('it', GOOD)
    assert config.type is ModalityType.SENSOR
    assert (config.encoder_dim, config.liquid_units, config.spiking_units) == (512, 256, 128)
    assert (config.num_spike_steps, config.beta, config.backbone) == (32, 0.95, 'cfc')
    assert config.coding == 'direct'


def test_dict_and_dataclass_are_the_same():
    assert ModalityConfig.parse('it', GOOD) == ModalityConfig(type=ModalityType.SENSOR, input_dim=4)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'inputdim': 4}, r"modality 'it': got unknown key 'inputdim', expected keys among type,"),
        ({'type': 'smell'}, r"modality 'it': type: got 'smell', expected a ModalityType or one of"),
        ({'input_dim': 0}, r"modality 'it': input_dim: got 0, expected a whole number in \[1, 1"),
        ({'input_dim': '4'}, r"modality 'it': input_dim: got '4'"),
        ({'liquid_units': 1.5}, r'liquid_units: got 1.5'),
        ({'spiking_units': True}, r'spiking_units: got True'),
        ({'num_spike_steps': 0}, r'num_spike_steps: got 0'),
        ({'num_spike_steps': 10**9}, r'num_spike_steps: got 1000000000, .* in \[1, 4096\]'),
        ({'liquid_units': 10**400}, r'liquid_units: got a whole number of about 400 digits'),
        ({'backbone_options': {'backbone_layers': 10**9}}, r'backbone_layers: got 1000000000'),
        ({'backbone_options': {'backbone_units': 1e3}}, r'backbone_units: got 1000.0, expected a'),
        ({'backbone': 'ltc', 'backbone_options': {'ode_unfolds': 10**6}}, r'ode_unfolds: got 1000'),
        ({'backbone': 'ncp', 'backbone_options': {'outputs': True}}, r'outputs: got True'),
        ({'beta': 2}, r'beta: got 2, expected a number in \[0, 1\]'),
        ({'beta': float('nan')}, r'beta: got nan'),
        ({'dropout': 1.0}, r'dropout: got 1.0, expected a number in \[0, 1\)'),
        ({'backbone': 'lstm'}, r"backbone: got 'lstm', expected one of cfc, ltc, ncp, ncp_ltc"),
        ({'coding': 'phase'}, r"coding: got 'phase', expected one of direct, rate, latency, delta"),
        ({'spiking_options': {'units': 1}}, r"spiking_options: got 'units', expected keys among"),
        ({'backbone_options': 3}, r'backbone_options: got 3, expected a dict or None'),
        ({'backbone_options': {'sparse': 1}}, r"backbone_options: got unknown key 'sparse' for"),
        ({'preprocessing': 'resnet'}, r"preprocessing: got 'resnet', expected an nn.Module"),
        ({'preprocessing': SensorPreprocessor(3, 8)}, r'input_dim: got 4, expected 8, the out'),
    ],
)
def test_a_wrong_key_is_named_with_what_was_got_and_expected(changes, message):
    with pytest.raises(ValueError, match=message):
        ModalityConfig.parse('it', GOOD | changes)


@pytest.mark.parametrize('missing', ['type', 'input_dim'])
def test_a_missing_key_is_named(missing):
    values = {key: value for key, value in GOOD.items() if key != missing}
    with pytest.raises(ValueError, match=f"modality 'it': key '{missing}' is missing"):
        ModalityConfig.parse('it', values)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'modality_configs': {}}, 'modality_configs: got {}, expected at least one modality'),
        ({'modality_configs': {'a': 3}}, "modality 'a': got int, expected a ModalityConfig or a"),
        (
            {'modality_configs': {'a': GOOD, 'b': GOOD | {'encoder_dim': 8}}},
            'encoder_dim: got a=512, b=8, expected the same for all modalities',
        ),
        ({'fusion_strategy': 'middle'}, "fusion_strategy: got 'middle', expected a FusionStrategy"),
        ({'fusion_dim': 0}, 'fusion_dim: got 0'),
        ({'output_dim': 0}, 'output_dim: got 0'),
        ({'num_attention_heads': 0}, 'num_attention_heads: got 0'),
        ({'backend': 'jax'}, "backend: got 'jax', expected one of fused, reference"),
        ({'fusion_strategy': 'late', 'memory_units': 4}, 'memory_units: got 4 with late fusion'),
        ({'modality_dropout': 1.0}, 'modality_dropout: got 1.0 for a'),
        ({'modality_dropout': {'c': 0.1}}, "modality_dropout: got 'c', expected names among a"),
    ],
)
def test_wrong_networks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiModalFusionNetwork(**{'modality_configs': {'a': GOOD}} | arguments)


def test_a_users_own_modality_takes_a_module_and_a_config():
    class Smell(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(9, 4)

        def forward(self, chemicals: torch.Tensor) -> torch.Tensor:
            return self.layer(chemicals.flatten(1)).tanh()

    model = MultiModalFusionNetwork(
        {
            'smell': ModalityConfig(type=ModalityType.CUSTOM, input_dim=4, encoder_dim=16,
                                    preprocessing=Smell()),
            'touch': {'type': 'sensor', 'input_dim': 2, 'encoder_dim': 16},
        },
        fusion_dim=8, output_dim=3,
    )
    assert model({'smell': torch.randn(2, 3, 3), 'touch': torch.randn(2, 2)}).shape == (2, 3)
