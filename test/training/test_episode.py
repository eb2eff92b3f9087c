"""A recording becomes what the live policy would have seen, with the right command beside it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from liquidspike_ros.control.action import to_command
from liquidspike_ros.sensing.stream import observe
from liquidspike_ros.training import replay as replay_module
from liquidspike_ros.training.bags import BagError, read_events
from liquidspike_ros.training.configuration import DataConfig
from liquidspike_ros.training.dataset import convert, Dataset, load_episode
from liquidspike_ros.training.episode import bag_to_sequence, pack, unpack
from liquidspike_ros.training.labels import align_labels

MS = 1_000_000


def commands(*entries):
    return [(time * MS, np.array([v, w])) for time, v, w in entries]


def aligned(robot, given, ticks, **settings):
    labels, weight = align_labels(given, np.array(ticks, np.int64) * MS, robot,
                                  DataConfig(**settings))
    return [float(to_command(label, robot.command)[0]) for label in labels], weight.tolist()


def test_label_is_the_last_command_at_or_before_the_tick(robot):
    given = commands((100, 0.1, 0), (200, 0.2, 0), (300, 0.3, 0))
    values, weight = aligned(robot, given, [99, 100, 101, 199, 200, 250, 300, 799, 801])
    assert weight == [0, 1, 1, 1, 1, 1, 1, 1, 0]
    assert values == pytest.approx([0, 0.1, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0], abs=1e-6)


def test_shift_looks_ahead_and_back(robot):
    given = commands((100, 0.1, 0), (200, 0.2, 0))
    assert aligned(robot, given, [150], label_shift=0.05)[0] == pytest.approx([0.2], abs=1e-6)
    assert aligned(robot, given, [150], label_shift=0.049)[0] == pytest.approx([0.1], abs=1e-6)
    assert aligned(robot, given, [200], label_shift=-0.001)[0] == pytest.approx([0.1], abs=1e-6)


def test_of_two_commands_at_one_time_the_later_counts(robot):
    given = commands((100, 0.1, 0), (100, 0.4, 0))
    assert aligned(robot, given, [100])[0] == pytest.approx([0.4], abs=1e-6)


def test_no_commands_no_weights(robot):
    assert aligned(robot, [], [100, 200])[1] == [0, 0]


def test_sequence_holds_exactly_the_observations(make_bag, robot):
    bag = make_bag(seconds=6)
    episode = bag_to_sequence(bag, robot)
    live = list(observe(read_events(bag, robot), robot))
    assert len(episode) == len(live) == 90
    assert episode.values['audio'].dtype == np.int16
    for name in robot.sensors:
        whole = unpack(name, episode.values[name])
        for k, observation in enumerate(live):
            assert whole[k].dtype == observation.values[name].dtype
            assert np.array_equal(whole[k], observation.values[name])
            assert episode.present[k][list(robot.sensors).index(name)] == observation.present[name]
    np.testing.assert_array_equal(episode.dt, np.array([o.dt for o in live], np.float32))


def test_blocks_join_without_a_seam(make_bag, robot, monkeypatch):
    bag = make_bag(seconds=4)
    whole = bag_to_sequence(bag, robot)
    monkeypatch.setattr(replay_module, 'BLOCK', 7)
    parts = bag_to_sequence(bag, robot)
    assert len(parts) == len(whole) == 60
    for name in robot.sensors:
        np.testing.assert_array_equal(parts.values[name], whole.values[name])


@pytest.mark.parametrize(('value', 'kept'), [(-1.0, np.int16), (32767 / 32768, np.int16),
                                             (1.0, np.float32), (0.3, np.float32)])
def test_audio_is_packed_only_where_nothing_is_lost(value, kept):
    values = np.full((3, 2, 5), value, np.float32)
    assert pack('audio', values).dtype == kept
    np.testing.assert_array_equal(unpack('audio', pack('audio', values)), values)


def test_labels_of_a_bag_are_what_the_pictures_show(make_bag, robot):
    episode = bag_to_sequence(make_bag(seconds=6), robot)
    shown = (episode.values['camera'][:, 0, 0, 0].astype(float) - 128) / 100
    assert episode.weight.all()
    np.testing.assert_allclose(episode.labels[:, 1], shown, atol=0.011)  # 8-bit brightness
    physical = np.array([to_command(label, robot.command) for label in episode.labels])
    np.testing.assert_allclose(physical[:, 0], 0.3, atol=1e-6)


def test_stamped_and_array_commands(make_bag, robot, toy_drive, messages):
    command = dataclasses.replace(robot.command, kind='float64_multi_array', names=('v', 'w'))
    stamped, arrays = [], []
    for time, topic, message in toy_drive():
        other = topic == '/cmd_vel'
        stamped.append((time, topic, messages.twist_stamped(time, message) if other else message))
        values = [message.linear.x, message.angular.z] if other else []
        arrays.append((time, topic, messages.array(values) if other else message))
    plain = bag_to_sequence(make_bag('plain'), robot).labels
    one = bag_to_sequence(make_bag('stamped', rows=stamped), robot).labels
    two = bag_to_sequence(make_bag('array', rows=arrays),
                          dataclasses.replace(robot, command=command)).labels
    np.testing.assert_array_equal(one, plain)
    np.testing.assert_array_equal(two, plain)


def test_recording_with_a_pause_is_cut_where_the_live_policy_would_reset(make_bag, robot,
                                                                          toy_drive):
    first, second = toy_drive(seed=1), toy_drive(seed=2)
    later = int(20e9)
    for _, _, message in second:
        if hasattr(message, 'header'):
            message.header.stamp.sec += 20
    rows = first + [(time + later, topic, message) for time, topic, message in second]
    episode = bag_to_sequence(make_bag(rows=rows), robot)
    assert len(episode.starts) == 2
    assert episode.starts[0] == 0
    assert 60 <= episode.starts[1] < len(episode) - 30
    assert bag_to_sequence(make_bag('whole'), robot).starts.tolist() == [0]


def test_commands_all_too_early_are_an_error(make_bag, robot, toy_drive):
    rows = [(time - int(60e9) * (topic == '/cmd_vel'), topic, message)
            for time, topic, message in toy_drive()]
    bag = make_bag(rows=sorted(rows, key=lambda row: row[0]))
    with pytest.raises(BagError, match=r'none of \d+ ticks has a command on cmd_vel'):
        bag_to_sequence(bag, robot)


def test_cache_is_used_and_follows_its_source(make_bag, robot, tmp_path):
    bag = make_bag()
    cache = tmp_path / 'cache'
    cache.mkdir()
    first = convert(bag, robot, DataConfig(), cache)
    written = (first.folder / 'labels.npy').stat().st_mtime_ns
    again = convert(bag, robot, DataConfig(), cache)
    assert (again.folder, (again.folder / 'labels.npy').stat().st_mtime_ns) == \
        (first.folder, written)
    shifted = convert(bag, robot, DataConfig(label_shift=0.1), cache)
    slower = convert(bag, dataclasses.replace(robot, rate=10.0), DataConfig(), cache)
    next(bag.glob('*.mcap')).touch()
    touched = convert(bag, robot, DataConfig(), cache)
    assert len({r.folder for r in (first, shifted, slower, touched)}) == 4
    assert not list(cache.glob('.*'))  # nothing half-written stays
    direct = bag_to_sequence(bag, robot)
    loaded = load_episode(first.folder)
    for name, value in direct.values.items():
        np.testing.assert_array_equal(loaded.values[name], value)
    np.testing.assert_array_equal(loaded.labels, direct.labels)


@pytest.mark.parametrize('workers', [1, 2])
def test_broken_recordings_are_left_out_and_named(make_bag, robot, tmp_path, workers):
    folder = tmp_path / 'bags'
    good = [make_bag(f'bags/good_{i}', seconds=2, seed=i) for i in range(3)]
    (folder / 'broken.mcap').write_bytes(b'nothing')
    lines = []
    dataset = Dataset([folder], robot, DataConfig(workers=workers),
                      lambda *told: lines.append(told))
    assert [told[:2] for told in lines] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [told[3] for told in lines].count(True) == 1
    assert [episode.name for episode in dataset.episodes] == [str(bag) for bag in good]
    assert len(dataset.findings) == 1
    assert 'broken.mcap: not used' in dataset.findings[0]
    dataset.close()


def test_no_usable_recording_names_every_reason(make_bag, robot, tmp_path, toy_drive):
    mute = make_bag('mute', rows=[r for r in toy_drive() if r[1] != '/cmd_vel'])
    (tmp_path / 'broken.mcap').write_bytes(b'nothing')
    with pytest.raises(BagError) as caught:
        Dataset([mute, tmp_path / 'broken.mcap', tmp_path / 'gone'], robot, DataConfig())
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert 'no topic /cmd_vel' in lines[1]
    assert 'no messages' in lines[2]
    assert 'no such file' in lines[3]


def test_split_is_by_recording_and_repeatable(make_bag, robot):
    bags = [make_bag(f'bag_{i}', seconds=1, seed=i) for i in range(5)]
    dataset = Dataset(bags, robot, DataConfig(workers=1))
    training, held = dataset.split(0.2, seed=3)
    names = [e.name for e in training + held]
    assert (len(training), len(held)) == (4, 1)
    assert sorted(names) == sorted(map(str, bags))
    assert [e.name for e in dataset.split(0.2, seed=3)[1]] == [held[0].name]
    assert len({dataset.split(0.2, seed=s)[1][0].name for s in range(20)}) > 1
    assert len(dataset.split(0.01, seed=0)[1]) == 1
    assert dataset.split(0.0, seed=0)[1] == []
