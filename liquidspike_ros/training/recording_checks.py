"""A recording looked at before a reader trusts it: files, metadata, and what an SQLite file runs.

Readers open whatever bears the right name, follow ``metadata.yaml``, and run the views and
generated columns of an SQLite file: a FIFO waits for ever, ten lines of YAML aliases become a
message of 254 MB, and a view of three lines has no end.
"""

from __future__ import annotations

import os
from pathlib import Path
import re
import sqlite3
from typing import Any

from ..untrusted.files import FileRefusal, read_text, require_regular_file
from ..untrusted.text import brief, one_line
from ..untrusted.yaml_text import parse_yaml, YamlRefusal

METADATA, METADATA_LIMIT, METADATA_NODES = 'metadata.yaml', 8 << 20, 400_000
STORAGE = ('.mcap', '.db3', '.bag')
COMPRESSED = '.zstd'
TABLES = frozenset({'messages', 'topics', 'schema', 'metadata', 'message_definitions'})
_GENERATED = re.compile(r'\bAS\s*\(', re.IGNORECASE)


def check_recording(path: str | Path) -> None:
    """Look at a recording without reading its messages; one damaged or missing passes.

    Args:
        path: A rosbag2 folder or a storage file.

    Raises:
        FileRefusal: A file of it is no regular file, its metadata cannot be trusted, or its
            tables are not tables; one line with the path of the file.
    """
    path = Path(path)
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        _check_storage(path)
        return
    for child in sorted(path.iterdir()):
        if child.name.removesuffix(COMPRESSED).endswith(STORAGE) and not child.is_dir():
            _check_storage(child)
        elif child.name == METADATA:
            _check_metadata(child)


def _check_storage(path: Path) -> None:
    require_regular_file(path)
    if path.suffix == '.db3':
        _check_tables(path)


def _check_metadata(path: Path) -> None:
    try:
        document: Any = parse_yaml(read_text(path, METADATA_LIMIT), nodes=METADATA_NODES)
    except YamlRefusal as error:
        raise FileRefusal(f'{path}: {error}') from None
    body = document.get('rosbag2_bagfile_information') if isinstance(document, dict) else None
    files = body.get('relative_file_paths', []) if isinstance(body, dict) else []
    for name in files if isinstance(files, list) else [files]:
        # Some writers put the folder's own name in front.
        inside = isinstance(name, str) and not Path(name).is_absolute() and (
            '..' not in Path(name).parts)
        if not inside:
            raise FileRefusal(f'{path}: relative_file_paths: got {brief(name)}, expected files '
                              'inside the recording')


def _check_tables(path: Path) -> None:
    try:
        connection = sqlite3.connect(f'{path.absolute().as_uri()}?immutable=1', uri=True)
        try:
            rows = connection.execute(
                'SELECT type, name, substr(sql, 1, 100000) FROM sqlite_master LIMIT 10000'
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return  # damaged, or its names are in the write-ahead log: for the reader to say
    for kind, name, sql in rows:
        if not isinstance(name, str) or name.lower() not in TABLES or kind == 'index':
            continue
        plain = kind == 'table' and isinstance(sql, str) and (
            sql.lstrip().upper().startswith('CREATE TABLE') and not _GENERATED.search(sql))
        if not plain:
            raise FileRefusal(f'{path}: {name}: got {one_line(sql, 80)}, expected a plain table: '
                              'views and computed columns can go on without end')
