"""What an error advises is pasted into the real az, and works."""

from __future__ import annotations

import shlex

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.printed import printed_commands

from .images import telling

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
ASKS_NO_REGISTRY = ('history', 'archive', 'policy')


def pasted(az, run):
    """Run what an error advised, with the sign-in of the tests; gives these commands."""
    assert run.code and run.err.count('ERROR: ') == 1, run.err
    found = list(printed_commands(run.err))
    for command in found:
        _, *words = shlex.split(command)
        ours = words[1] == 'prune'
        again = az(*words, *(() if ours and words[2] in ASKS_NO_REGISTRY else ADMIN_LOGIN))
        assert again.code == 0, f'{command}\n{again.err}'
    return found


def test_what_an_error_advises_works_when_it_is_pasted(az, registry, now, tmp_path):
    telling(registry.storage, now)
    registry.storage.set_locks('team/other', tag='v1', deleteEnabled=False)
    (az.home / 'bad.json').write_text('{}')
    archive = str(tmp_path / 'the archive')
    away = ('untagged', *TARGET, '--repository', 'team/app', '--yes', '--archive', archive, '--new-archive')
    az(*PRUNE, *away, check=True)
    situations = [
        ('image', *TARGET, '--image', 'team/app:nope', '--yes'),
        ('plan', *TARGET, '--repository', 'team/nope'),
        ('image', *TARGET, '--image', 'team/app:latest', '--only-if', 'ghost', '--yes'),
        ('restore', *TARGET, '--archive', archive, '--image', 'team/app:nope'),
        ('apply', *TARGET, '--plan', 'bad.json', '--yes'),
        ('undo', *TARGET, '--run', '20200101T000000.000000Z-0a1b2c3d'),
        ('policy', 'validate', '--file', 'bad.json'),
        ('image', *TARGET, '--image', 'team/other:v1', '--untag', '--yes'),
    ]
    advised = [pasted(az, az(*PRUNE, *situation)) for situation in situations]
    assert all(len(commands) == 1 for commands in advised), advised
    assert registry.storage.tag('team/other', 'v1').flags['deleteEnabled'], 'the last one said how it is unlocked'
