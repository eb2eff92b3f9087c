"""What every ROS process of ours gets told, and what it leaves as the user said."""

from __future__ import annotations

from pathlib import Path
import xml.etree.ElementTree as ElementTree

import pytest

from liquidspike_ros import share
from liquidspike_ros.share import transport_environment

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / 'config' / 'fastdds.xml'
NOW, BEFORE = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'


@pytest.mark.parametrize(('environment', 'added'), [
    ({}, {NOW: str(FILE)}),
    ({'ROS_DISTRO': 'kilted'}, {NOW: str(FILE)}),
    ({'ROS_DISTRO': 'jazzy'}, {BEFORE: str(FILE)}),
    ({'ROS_DISTRO': 'humble'}, {BEFORE: str(FILE)}),
    ({NOW: ''}, {NOW: str(FILE)}),
    ({NOW: '/own.xml'}, {}),
    ({BEFORE: '/own.xml'}, {}),
])
def test_the_shipped_profile_serves_where_the_user_named_none(
        environment: dict[str, str], added: dict[str, str]) -> None:
    assert transport_environment(environment) == added


def test_nothing_is_named_that_is_not_there(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(share, 'share_directory', lambda: tmp_path)
    assert transport_environment({}) == {}


def test_a_lost_installation_is_no_reason_not_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> Path:
        raise FileNotFoundError('gone')

    monkeypatch.setattr(share, 'share_directory', lost)
    assert transport_environment({}) == {}


def test_the_profile_changes_the_shared_memory_and_nothing_else() -> None:
    space = '{http://www.eprosima.com}'
    (profiles,) = ElementTree.parse(FILE).getroot()
    transports, participant = profiles
    described = [{child.tag.removeprefix(space): child.text for child in each}
                 for each in transports]
    memory, udp = described
    assert memory['type'] == 'SHM'
    # Two frames of 1280x720 in colour; some containers have no more than 64 MiB for everybody.
    assert 2 * 1280 * 720 * 3 <= int(memory['segment_size'] or 0) <= 16 * 2**20
    assert memory.keys() == {'transport_id', 'type', 'segment_size'}
    assert udp == {'transport_id': 'udp', 'type': 'UDPv4'}  # other hosts
    used = [each.text for each in participant.iter(f'{space}transport_id')]
    assert used == [each['transport_id'] for each in described]
    assert [each.tag.removeprefix(space) for each in participant.iter()] == [
        'participant', 'rtps', 'userTransports', 'transport_id', 'transport_id',
        'useBuiltinTransports']
    assert participant.get('is_default_profile') == 'true'
