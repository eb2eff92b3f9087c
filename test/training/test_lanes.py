"""Lanes play whole episodes in order; what a batch holds is what the live policy gets."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from liquidspike_ros.control.tensors import observation_tensors
from liquidspike_ros.sensing.stream import observe
from liquidspike_ros.training.bags import read_events
from liquidspike_ros.training.configuration import AugmentConfig, TrainConfig
from liquidspike_ros.training.episode import bag_to_sequence, Episode
from liquidspike_ros.training.lanes import Lanes
from liquidspike_ros.training.model_building import build_model

SMALL = {'camera_architecture': 'simple', 'fusion_strategy': 'hybrid', 'fusion_dim': 16,
         'encoder_dim': 16, 'num_attention_heads': 2, 'spiking_units': 8, 'liquid_units': 8,
         'num_spike_steps': 4}


def numbered(robot, number, length, starts=(0,)):
    """An episode whose labels say where they come from: (episode, tick)."""
    values = {name: np.full((length, *spec.shape), number,
                            np.uint8 if name == 'camera' else np.float32)
              for name, spec in robot.sensors.items()}
    labels = np.stack([np.full(length, number), np.arange(length)], 1).astype(np.float32)
    return Episode(name=str(number), values=values, present=np.ones((length, 4), bool),
                   dt=np.full(length, 1 / 15, np.float32), labels=labels,
                   weight=np.ones(length, np.float32), starts=np.array(starts, np.int64))


def test_lanes_play_episodes_in_order_and_whole(robot):
    lengths = [13, 5, 20, 8, 1]
    episodes = [numbered(robot, k, length) for k, length in enumerate(lengths)]
    lanes = Lanes(episodes, robot, lanes=2, ticks=4, augment=AugmentConfig(), seed=1)
    played: list[list[tuple[int, int]]] = [[], []]
    for batch in islice(lanes, 60):
        for i in range(2):
            real = batch.weight[i] > 0
            ticks = [tuple(map(int, row)) for row in batch.labels[i][real]]
            if batch.start[i]:
                assert ticks[0][1] == 0
            elif played[i]:
                assert ticks[0] == (played[i][-1][0], played[i][-1][1] + 1)
            played[i] += ticks
            assert (batch.inputs['sensors'][i, :, 0][real] == batch.labels[i][real][0, 0]).all()
    whole = {k: sum(lane.count((k, lengths[k] - 1)) for lane in played) for k in range(5)}
    begun = {k: sum(lane.count((k, 0)) for lane in played) for k in range(5)}
    assert all(begun[k] - whole[k] in (0, 1, 2) for k in range(5))  # the last ones may be cut
    assert max(begun.values()) - min(begun.values()) <= 2  # every epoch plays each once


def test_clock_jumps_start_from_rest(robot):
    lanes = Lanes([numbered(robot, 0, 20, starts=(0, 7))], robot, lanes=3, ticks=5)
    batches = list(lanes)
    starts = [(int(batch.labels[i, 0, 1])) for batch in batches for i in range(2)
              if batch.start[i] and batch.weight[i].any()]
    assert starts == [0, 7]
    counted = sorted(int(t) for batch in batches
                     for t in batch.labels[..., 1][batch.weight > 0].tolist())
    assert counted == list(range(20))


def test_every_tick_counts_once_without_augmentation(robot):
    episodes = [numbered(robot, k, length) for k, length in enumerate([9, 4, 17, 1, 6])]
    seen = [tuple(row.tolist()) for batch in Lanes(episodes, robot, lanes=3, ticks=4)
            for row in batch.labels[batch.weight > 0]]
    assert sorted(seen) == sorted((k, t) for k, n in enumerate([9, 4, 17, 1, 6])
                                  for t in range(n))


def test_unlabelled_ticks_do_not_count(robot):
    episode = numbered(robot, 0, 8)
    episode.weight[2:5] = 0
    (batch,) = Lanes([episode], robot, lanes=1, ticks=8)
    assert batch.weight[0].tolist() == [1, 1, 0, 0, 0, 1, 1, 1]


def test_batch_is_bit_for_bit_what_the_live_policy_gets(make_bag, robot):
    bag = make_bag(seconds=3)
    live = [observation_tensors(o, robot) for o in observe(read_events(bag, robot), robot)]
    (batch,) = Lanes([bag_to_sequence(bag, robot)], robot, lanes=4, ticks=45)
    assert len(live) == 45
    for name, value in batch.inputs.items():
        expected = torch.cat([inputs[name] for inputs, _ in live])
        assert expected.dtype == value.dtype
        assert torch.equal(value[0], expected), name
    assert torch.equal(batch.present[0], torch.cat([present for _, present in live]))


def test_same_seed_same_batches(make_bag, robot):
    episodes = [bag_to_sequence(make_bag(f'b{i}', seconds=2, seed=i), robot) for i in range(3)]
    augment = AugmentConfig(mirror=0.5, brightness=0.3, drop_camera=0.3, drop_audio=0.3)

    def batches(seed):
        return list(islice(Lanes(episodes, robot, lanes=2, ticks=8, augment=augment, seed=seed), 9))

    for one, two in zip(batches(4), batches(4), strict=True):
        assert all(torch.equal(one.inputs[n], two.inputs[n]) for n in one.inputs)
        assert torch.equal(one.present, two.present)
    assert not all(torch.equal(a.inputs['camera'], b.inputs['camera'])
                   for a, b in zip(batches(4), batches(5), strict=True))


def test_lost_sensors_are_masked_and_zero(make_bag, robot):
    episode = bag_to_sequence(make_bag(seconds=4), robot)
    augment = AugmentConfig(drop_lidar=0.5, drop_seconds=0.5)
    lost = 0
    for batch in islice(Lanes([episode], robot, lanes=2, ticks=15, augment=augment), 8):
        gone = ~batch.present[..., 2]
        lost += int(gone.sum())
        assert (batch.inputs['lidar'][gone] == 0).all()
        assert batch.inputs['lidar'][batch.present[..., 2]].abs().sum() > 0
    assert lost > 20


def test_mirrored_lane_is_the_mirrored_episode(make_bag, robot):
    episode = bag_to_sequence(make_bag(seconds=2), robot)
    (plain,) = Lanes([episode], robot, lanes=1, ticks=30)
    mirrored = next(iter(Lanes([episode], robot, lanes=1, ticks=30,
                               augment=AugmentConfig(mirror=1.0))))
    assert torch.equal(mirrored.inputs['camera'], plain.inputs['camera'].flip(-1))
    assert torch.equal(mirrored.inputs['lidar'], plain.inputs['lidar'].flip(-1))
    assert torch.equal(mirrored.inputs['audio'], plain.inputs['audio'].flip(-2))
    assert torch.equal(mirrored.labels, plain.labels * torch.tensor([1.0, -1.0]))


def test_brightness_moves_only_pictures_that_are_there(make_bag, robot):
    episode = bag_to_sequence(make_bag(seconds=2), robot)
    augment = AugmentConfig(brightness=0.5, drop_camera=0.5, drop_seconds=0.3)
    for batch in islice(Lanes([episode], robot, lanes=3, ticks=30, augment=augment, seed=2), 4):
        there = batch.present[..., 0]
        camera = batch.inputs['camera']
        assert (camera[~there] == 0).all()
        assert 0 <= camera.min() <= camera.max() <= 1
        assert camera[there].mean() != pytest.approx(128 / 255, abs=1e-4)


def test_carried_state_equals_one_long_unroll(make_bag, robot):
    """Values of chunked playing, with lanes changing episodes, against each episode at once."""
    episodes = [bag_to_sequence(make_bag(f'b{i}', seconds=s, seed=i), robot)
                for i, s in enumerate([2.4, 1.0, 1.7])]
    model = build_model(robot, TrainConfig(model=SMALL)).eval()
    whole = []
    for episode in episodes:
        (batch,) = Lanes([episode], robot, lanes=1, ticks=len(episode))
        actions, _ = model.unroll(batch.inputs, None, dt=batch.dt, present=batch.present)
        whole.append(actions[0].detach())
    state, lanes = None, Lanes(episodes, robot, lanes=2, ticks=7)
    pieces: dict[int, list[torch.Tensor]] = {}
    playing, following = [-1, -1], iter(range(3))
    for batch in lanes:
        state = model.init_state(2) if state is None else state
        state = model.reset_state(model.detach_state(state), batch.start)
        actions, state = model.unroll(batch.inputs, state, dt=batch.dt, present=batch.present)
        for i in range(2):
            if batch.start[i]:
                playing[i] = next(following, -1)
            real = int((batch.weight[i] > 0).sum())
            if real:
                pieces.setdefault(playing[i], []).append(actions[i, :real].detach())
    for k, expected in enumerate(whole):
        torch.testing.assert_close(torch.cat(pieces[k]), expected, atol=1e-5, rtol=1e-5)
