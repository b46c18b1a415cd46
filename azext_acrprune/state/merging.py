"""Small databases that two processes changed at once."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path


def snapshot(path: Path) -> bytes:
    """The bytes of a database as it is now, whoever changes it at the same time. Raises sqlite3.Error and OSError."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / 'copy'
        there = f'{path.absolute().as_uri()}?mode=rw'  # makes no file where there is none
        with closing(sqlite3.connect(there, uri=True)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy.read_bytes()


def merge(base: bytes, theirs: bytes, mine: Path) -> None:
    """Do to a database what others did to a copy of it: `base` is what both began with, empty for nothing.

    A row that both changed is as it is in `mine`. Raises sqlite3.Error and OSError.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / 'base').write_bytes(base)
        (Path(folder) / 'theirs').write_bytes(theirs)
        with closing(sqlite3.connect(mine)) as connection:
            for name in ('base', 'theirs'):
                connection.execute(f'ATTACH ? AS {name}', (str(Path(folder) / name),))
            with connection:
                connection.execute('BEGIN IMMEDIATE')
                for table, create in _tables(connection, 'theirs').items():
                    if table not in _tables(connection, 'main'):
                        connection.execute(create)
                    _merge_table(connection, table, table in _tables(connection, 'base'))


def _merge_table(connection: sqlite3.Connection, table: str, is_old: bool) -> None:
    columns = [row[1] for row in connection.execute(f'PRAGMA main.table_info("{table}")')]
    base = f'base."{table}"' if is_old else f'(SELECT * FROM theirs."{table}" WHERE 0)'
    same = ' AND '.join(f'gone."{column}" IS main."{table}"."{column}"' for column in columns)
    connection.execute(
        f'DELETE FROM main."{table}" WHERE EXISTS (SELECT 1 FROM '
        f'(SELECT * FROM {base} EXCEPT SELECT * FROM theirs."{table}") AS gone WHERE {same})'
    )
    connection.execute(
        f'INSERT OR IGNORE INTO main."{table}" SELECT * FROM theirs."{table}" EXCEPT SELECT * FROM {base}'
    )


def _tables(connection: sqlite3.Connection, schema: str) -> dict[str, str]:
    return dict(connection.execute(f"SELECT name, sql FROM {schema}.sqlite_master WHERE type = 'table'"))
