"""Many recordings at once: scanned, converted in parallel, kept on disk, mapped into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import dataclass
import hashlib
import json
import multiprocessing
import os
from pathlib import Path
import shutil
import signal
import tempfile

import numpy as np

from ..robot import RobotSpec
from ..untrusted.text import one_line
from .bags import BagError, BagReport, find_bags, require_usable, scan_bag
from .configuration import DataConfig
from .episode import Array, bag_to_sequence, Episode
from .recording_facts import disagreements
from .storage import Storage, storage_files

PACKAGE = Path(__file__).resolve().parent.parent
ARRAYS = ('present', 'dt', 'labels', 'weight', 'starts')
Progress = Callable[[int, int, str, bool], None]


@dataclass(frozen=True)
class Converted:
    """What became of one recording.

    Attributes:
        line: The whole finding in one line.
        folder: Its arrays; None if it is not used.
        fatal: Why it is not used.
        problem: Whether anything is wrong with it.
    """

    line: str
    folder: Path | None = None
    fatal: str = ''
    problem: bool = True


class Dataset:
    """The usable recordings among those given, as episodes mapped from disk.

    Args:
        paths: Recordings, or folders of recordings.
        robot: Its sensors and command.
        data: Label settings, workers, cache folder.
        progress: Called after each recording with (done, all, one-line finding, problem).

    Raises:
        BagError: None of the recordings is usable; one line for each says why.
    """

    def __init__(self, paths: Sequence[str | Path], robot: RobotSpec, data: DataConfig,
                 progress: Progress | None = None) -> None:
        bags = find_bags(paths)
        self._temporary = None if data.cache else tempfile.TemporaryDirectory(prefix='liquidspike-')
        folder = Path(data.cache or self._temporary.name)  # type: ignore[union-attr]
        folder.mkdir(parents=True, exist_ok=True)
        results: list[Converted | None] = [None] * len(bags)
        for done, (index, result) in enumerate(_convert_all(bags, robot, data, folder), start=1):
            results[index] = result
            if progress:
                progress(done, len(bags), result.line, result.problem)
        self.results = [result for result in results if result]
        require_usable([BagReport(path=bag, fatal=(r.fatal,) if r.fatal else ())
                        for bag, r in zip(bags, self.results, strict=True)])
        self.episodes = [load_episode(r.folder) for r in self.results if r.folder]
        self.disagreements = disagreements({e.name: e.facts for e in self.episodes})
        for line in self.disagreements:
            if progress:
                progress(len(bags), len(bags), line, True)

    @property
    def findings(self) -> list[str]:
        """One line for every recording that has a problem, and for what recordings tell apart."""
        return [*(result.line for result in self.results if result.problem), *self.disagreements]

    def split(self, share: float, seed: int) -> tuple[list[Episode], list[Episode]]:
        """Split by recording into training and validation episodes, the same for the same seed."""
        count = min(round(len(self.episodes) * share), len(self.episodes) - 1)
        if share > 0 and len(self.episodes) > 1:
            count = max(count, 1)
        order = np.random.default_rng(seed).permutation(len(self.episodes))
        held = set(order[:count].tolist())
        return ([e for i, e in enumerate(self.episodes) if i not in held],
                [e for i, e in enumerate(self.episodes) if i in held])

    def close(self) -> None:
        """Remove the temporary folder, if there was one."""
        self.episodes = []
        if self._temporary:
            self._temporary.cleanup()


def _convert_all(bags: Sequence[Path], robot: RobotSpec, data: DataConfig, folder: Path
                 ) -> Iterator[tuple[int, Converted]]:
    workers = min(data.workers or os.cpu_count() or 1, len(bags))
    if workers <= 1:
        for index, bag in enumerate(bags):
            yield index, convert(bag, robot, data, folder)
        return
    # Fork is unsafe once torch has started threads.
    context = multiprocessing.get_context('spawn')
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_ctrl_c_to_parent)
    try:
        futures = {pool.submit(convert, bag, robot, data, folder): i for i, bag in enumerate(bags)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_ctrl_c_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def convert(bag: Path, robot: RobotSpec, data: DataConfig, folder: Path) -> Converted:
    """Scan and convert one recording into a folder of arrays, unless it is there already.

    Never raises for what is wrong with the recording: the result says it.
    """
    try:
        target = folder / _key(bag, robot, data)
        if not (target / 'facts.json').exists():
            with Storage(bag) as storage:
                report = scan_bag(bag, robot, data, storage)
                if not report.usable:
                    return Converted(report.line, fatal='; '.join(report.fatal))
                _save(bag_to_sequence(bag, robot, data, report, storage), target)
        facts = json.loads((target / 'facts.json').read_text())
    except MemoryError:
        return _unused(bag, 'too large for the memory of this machine')
    except Exception as error:  # one recording never ends a run, whatever stands in it
        text = one_line(str(error).removeprefix(f'{bag}: '), 440)
        return _unused(bag, text if isinstance(error, (BagError, OSError)) else
                       f'{type(error).__name__}: {text}')
    text = f'{one_line(bag, 300)}: used, {facts["ticks"]} ticks, {facts["labelled"]} with a command'
    return Converted('; '.join([text, *facts['problems']]), folder=target,
                     problem=bool(facts['problems']))


def _unused(bag: Path, text: str) -> Converted:
    return Converted(f'{one_line(bag, 300)}: not used ({text})', fatal=text)


def _key(bag: Path, robot: RobotSpec, data: DataConfig) -> str:
    """Changes with the recording, the robot, the label settings and the converting code."""
    digest = hashlib.sha256()
    files = sorted(bag.iterdir()) if bag.is_dir() else storage_files(bag)
    for file in (file for file in files if file.is_file()):
        status = file.stat()
        digest.update(f'{file.resolve()} {status.st_size} {status.st_mtime_ns}\n'.encode())
    labels = (data.label_shift, data.label_max_age, data.label_from, data.odometry_topic,
              data.namespace, data.allow_missing)
    digest.update(json.dumps([robot.to_dict(), labels], sort_keys=True).encode())
    sources = [PACKAGE / 'control' / 'action.py',
               *sorted((PACKAGE / 'robot').glob('*.py')),
               *sorted((PACKAGE / 'sensing').glob('*.py')),
               *sorted((PACKAGE / 'training').glob('*.py'))]
    for source in sources:
        digest.update(source.read_bytes())
    return f'{bag.stem}-{digest.hexdigest()[:16]}'


def _save(episode: Episode, target: Path) -> None:
    partial = Path(tempfile.mkdtemp(prefix=f'.{target.name}-', dir=target.parent))
    try:
        for name, array in episode.values.items():
            np.save(partial / f'value_{name}.npy', array)
        for name in ARRAYS:
            np.save(partial / f'{name}.npy', getattr(episode, name))
        facts = {'name': episode.name, **episode.facts}
        (partial / 'facts.json').write_text(json.dumps(facts))
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class MappedArrays(Mapping[str, Array]):
    """Sensor arrays on disk, mapped anew on each access.

    An open map holds a file descriptor: thousands of recordings would run out of them, the few
    that are being played do not.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {file.stem.removeprefix('value_'): file
                       for file in sorted(folder.glob('value_*.npy'))}

    def __getitem__(self, name: str) -> Array:
        return np.load(self._files[name], mmap_mode='r')

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def load_episode(folder: Path) -> Episode:
    """A converted recording; its sensor arrays stay on disk until they are played."""
    facts = json.loads((folder / 'facts.json').read_text())
    rest = {name: np.load(folder / f'{name}.npy') for name in ARRAYS}
    return Episode(name=facts['name'], values=MappedArrays(folder), facts=facts, **rest)


def summary(dataset: Dataset) -> dict[str, object]:
    """Plain facts about the data for a checkpoint's metadata."""
    facts = [episode.facts for episode in dataset.episodes]
    return {
        'recordings': len(facts), 'unused': len(dataset.results) - len(facts),
        'ticks': sum(f['ticks'] for f in facts), 'labelled': sum(f['labelled'] for f in facts),
        'names': [Path(str(f['name'])).name for f in facts][:1000],
        'data': None if not facts else {
            name: float(np.mean([f['fresh'][name] for f in facts])) for name in facts[0]['fresh']},
    }
