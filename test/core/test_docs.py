"""What the documentation shows is what runs."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def blocks(name: str) -> list[str]:
    return re.findall(r'^```python\n(.*?)^```', (ROOT / name).read_text(), re.M | re.S)


@pytest.fixture(scope='module')
def shown() -> dict[str, Any]:
    (example,) = blocks('docs/custom_modality.md')
    namespace: dict[str, Any] = {'__name__': 'example'}
    exec(compile(example, 'custom_modality.md', 'exec'), namespace)
    return namespace


def test_the_custom_modality_runs_as_written(shown):
    assert shown['model'].modalities == ('touch', 'odometry')
    assert shown['action'].shape == (4, 2)
    assert shown['info'].attention_map('odometry', 'touch').shape == (4, 8)


def test_the_custom_modality_is_heard_and_learns(shown):
    model, touch, odometry = shown['model'], shown['touch'], shown['odometry']
    model.eval()
    action = model({'touch': touch, 'odometry': odometry})
    assert not action.allclose(model({'touch': 1 - touch, 'odometry': odometry}))
    action.square().sum().backward()
    assert model.preprocessors['touch'].ring.weight.grad.abs().sum() > 0


def test_it_takes_about_twenty_lines():
    (example,) = blocks('docs/custom_modality.md')
    written = [line for line in example.splitlines()
               if line.strip() and not line.startswith(('import', 'from'))]
    assert len(written) <= 20


def test_the_readme_runs_as_written():
    (example,) = blocks('README.md')
    namespace: dict[str, Any] = {'__name__': 'example'}
    exec(compile(example, 'README.md', 'exec'), namespace)
    assert namespace['action'].shape == (1, 2)
    assert sorted(namespace['model'].modalities) == ['camera', 'sensors']
