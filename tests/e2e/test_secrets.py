"""A server, or a proxy before it, says back the secrets that it was sent: nobody sees them."""

from __future__ import annotations

import pytest

from tests.registry.auth import ADMIN
from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.echo import SHARED_SIGNATURE
from tests.registry.faults import Fault

from .images import telling

PRUNE = ('acr', 'prune')


@pytest.mark.parametrize('signs_in, pattern', [(True, 'DELETE /v2/'), (False, 'DELETE /v2/'), (True, 'oauth2/token')])
def test_secrets_that_a_server_says_back_are_in_no_log_no_answer_and_no_journal(
    az, registry, now, tmp_path, signs_in, pattern
):
    telling(registry.storage, now)
    if signs_in:
        assert az.login().code == 0
    registry.faults.rules += [Fault(pattern, 'refused'), Fault('.', 'echo')]
    target = ('-r', 'localhost') if signs_in else ('-r', 'localhost', *ADMIN_LOGIN)
    run = az(*PRUNE, 'untagged', *target, '--yes', '--debug')
    assert run.code == 1 and 'not with' in run.out + run.err
    assert "'X-Echo'" in run.err, 'the answers themselves are shown'
    journals = ''.join(path.read_text() for path in (tmp_path / 'azure').glob('acrprune/journal/*'))
    said = ''.join(line for line in run.err.splitlines(True) if 'Command arguments' not in line)  # az's own
    shown = run.out + said + journals
    assert [secret for secret in (ADMIN[1], SHARED_SIGNATURE, *registry.auth.issued) if secret in shown] == []
    assert 'eyJ' not in shown, 'nor a part of a token'
