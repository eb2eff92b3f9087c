"""What the pages name exists: modules, files, links between pages."""

from __future__ import annotations

from pathlib import Path
import re

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', ROOT / 'bench' / 'README.md',
         *sorted((ROOT / 'docs').glob('*.md'))]
PACKAGE = ROOT / 'liquidspike_ros'
CODE = re.compile(r'```.*?```', re.DOTALL)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = CODE.sub('', page.read_text())
    targets = [target.partition('#')[0] for target in re.findall(r'\]\(([^)\s]+)\)', text)]
    wrong = [target for target in targets
             if target and '://' not in target and not (page.parent / target).exists()]
    assert not wrong


def test_modules_that_the_map_names_exist() -> None:
    text = (ROOT / 'docs' / 'architecture.md').read_text()
    named = re.findall(r'`([\w/]+/\w+\.py|[\w/]+/)`', text)
    assert len(named) > 30
    wrong = [name for name in named
             if not any((root / name).exists() for root in (ROOT, PACKAGE, PACKAGE / 'core'))]
    assert not wrong
