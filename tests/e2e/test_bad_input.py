"""Bad input: a typed error that says what to do, no traceback, and nothing changed."""

from __future__ import annotations

import http.server
import ssl
import threading

import pytest

from tests.registry.auth import ADMIN
from tests.registry.azcli import ADMIN_LOGIN, Az
from tests.registry.ca import make_context
from tests.registry.server import LocalRegistry

from .images import telling

SOME_TAGS = ('--match', '**:*', '--keep-semver', '1', '--yes')
COMMANDS = (('plan', ()), ('untagged', ('--yes',)), ('tags', SOME_TAGS))
PLAN = ('acr', 'prune', 'plan')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)

CASES = {
    'unknown registry': (('-r', 'nosuchregistry', *ADMIN_LOGIN), 'Could not connect'),
    'registry of another cloud': (('-r', 'myregistry.azurecr.io', *ADMIN_LOGIN), 'not a registry of this cloud'),
    'wrong password': (('-r', 'localhost', '-u', ADMIN[0], '-p', 'wrong'), 'az login'),
    'password without a name': (('-r', 'localhost', '-p', 'wrong'), 'username'),
    'unknown repository': ((*TARGET, '--repository', 'team/nosuch'), 'az acr repository list'),
    'bad age': ((*TARGET, '--ago', '5x'), '30d'),
    'empty age': ((*TARGET, '--ago', ''), '30d'),
    'negative age': ((*TARGET, '--ago', '-1d'), 'ago'),
    'negative keep': ((*TARGET, '--keep', '-1'), 'keep'),
    'no time': ((*TARGET, '--time-limit', '0'), '45m'),
    'bad time': ((*TARGET, '--time-limit', 'soon'), '45m'),
    'no concurrency': ((*TARGET, '--concurrency', '0'), '1 to 32'),
    'too much concurrency': ((*TARGET, '--concurrency', '33'), '1 to 32'),
    'rate without a time': ((*TARGET, '--max-rate', '600'), '600/min'),
    'rate of nothing': ((*TARGET, '--max-rate', '0/s'), '600/min'),
    'folder that is not there': ((*TARGET, '--out', 'nosuch/folder/plan.json'), 'nosuch/folder/plan.json'),
    'not signed in': (('-r', 'localhost'), 'username and password'),
}


@pytest.mark.parametrize(
    'command, arguments, said',
    [
        pytest.param(command, (*arguments, *more), said, id=f'{command}, {name}')
        for name, (arguments, said) in CASES.items()
        for command, more in COMMANDS
        if command == 'plan' or '--out' not in arguments
    ],
)
def test_bad_input_is_named_and_changes_nothing(az, registry, now, command, arguments, said):
    telling(registry.storage, now)
    before = registry.storage.stored_bytes()
    run = az('acr', 'prune', command, *arguments)
    assert run.code != 0
    assert 'Traceback' not in run.err and said in run.err
    assert run.out == ''
    assert registry.storage.stored_bytes() == before


DIGEST = 'sha256:' + '0' * 64
OWN_CASES = {
    'filter without a colon': ('tags', ('--filter', 'team/app', '--ago', '1d', '--yes'), 'no colon'),
    'filter that is a glob': ('tags', ('--filter', '*:.*', '--ago', '1d', '--yes'), "'*' is not a regular expression"),
    'filter that is a digest': (
        'tags',
        ('--filter', 'team/app@sha256:0123456', '--ago', '1d', '--yes'),
        'prune image takes a digest',
    ),
    'match without a tag': ('tags', ('--match', 'team/app:', '--ago', '1d', '--yes'), 'names no tag'),
    'exclude without a colon': ('tags', ('--match', '*:*', '--exclude', 'x', '--ago', '1d', '--yes'), 'no colon'),
    'group without a name': ('tags', ('--match', '*:*', '--keep-per', '3:(.*)', '--yes'), 'named group'),
    'group without a number': ('tags', ('--match', '*:*', '--keep-per', '(?P<x>.)', '--yes'), 'N:PATTERN'),
    'negative semver': ('tags', ('--match', '*:*', '--keep-semver', '-1', '--yes'), 'negative'),
    'no tags selected': ('tags', ('--ago', '1d', '--yes'), '--filter'),
    'no age and no number': ('tags', ('--match', '*:*', '--yes'), '--ago'),
    'untag only and untagged': (
        'tags',
        ('--match', '*:*', '--ago', '1d', '--untag-only', '--untagged', '--yes'),
        '--untag-only',
    ),
    'percent of more than all': ('untagged', ('--max-percent', '101', '--yes'), '--max-percent'),
    'negative number of deletions': ('untagged', ('--max-deletions', '-1', '--yes'), '--max-deletions'),
    'image without a tag': ('image', ('--image', 'team/app', '--yes'), 'neither repository:tag'),
    'image with a short digest': ('image', ('--image', 'team/app@sha256:nohex', '--yes'), 'up to 64 digits'),
    'unknown tag': ('image', ('--image', 'team/app:nosuch', '--yes'), "no tag 'nosuch'"),
    'unknown digest': ('image', ('--image', f'team/app@{DIGEST}', '--yes'), 'no manifest'),
    'image of an unknown repository': ('image', ('--image', 'team/nosuch:v1', '--yes'), 'team/nosuch'),
    'untag a digest': ('image', ('--image', f'team/app@{DIGEST}', '--untag', '--yes'), 'repository:tag'),
    'whole repository that is not there': ('repository', ('--repository', 'team/nosuch', '--yes'), 'team/nosuch'),
    'plan that is not there': ('apply', ('--plan', 'nosuch.json', '--yes'), 'nosuch.json'),
    'bad maximum age': ('apply', ('--plan', 'nosuch.json', '--max-age', 'x', '--yes'), '24h'),
    'policy that is not there': ('plan', ('--policy', 'nosuch.yaml'), 'nosuch.yaml'),
    'policy and options': ('plan', ('--policy', 'nosuch.yaml', '--ago', '3d'), '--ago'),
    'explain an unknown image': ('explain', ('--image', 'team/app:nosuch'), "no tag 'nosuch'"),
}


@pytest.mark.parametrize('command, arguments, said', OWN_CASES.values(), ids=OWN_CASES)
def test_bad_input_of_one_command_is_named_and_changes_nothing(az, registry, now, command, arguments, said):
    telling(registry.storage, now)
    before = registry.storage.stored_bytes()
    run = az('acr', 'prune', command, *TARGET, *arguments)
    assert run.code != 0
    assert 'Traceback' not in run.err and said in run.err
    assert run.out == ''
    assert registry.storage.stored_bytes() == before


def test_no_repository_matches_a_pattern_is_an_empty_plan(az, registry, now):
    telling(registry.storage, now)
    assert az(*PLAN, *TARGET, '--repository', 'nobody/**', check=True).json['delete'] == []


def test_a_file_that_may_not_be_written_is_found_before_the_scan(az, registry, now, tmp_path):
    run = az(*PLAN, *TARGET, '--out', str(tmp_path))
    assert run.code != 0 and str(tmp_path) in run.err and 'Traceback' not in run.err
    assert registry.requests == []


def test_a_run_that_fails_leaves_no_empty_plan_behind(az, registry, now, tmp_path):
    assert az(*PLAN, *TARGET, '--repository', 'nosuch', '--out', str(tmp_path / 'plan.json')).code != 0
    assert not (tmp_path / 'plan.json').exists()


def test_an_expired_certificate_is_a_connection_error(tmp_path, extensions, forks):
    with LocalRegistry(expired=True) as registry:
        run = Az(tmp_path / 'azure', registry, extensions, forks)(*PLAN, *TARGET)
    assert run.code != 0
    assert 'Could not connect' in run.err and 'Traceback' not in run.err


class _Website(http.server.BaseHTTPRequestHandler):
    """A server that is no registry: a friendly page for everything."""

    def do_GET(self):
        body = b'<html>Welcome!</html>'
        self.send_response(200)
        self.send_header('Content-Type', 'text/html')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self.do_GET()

    def log_message(self, *_):
        pass


class _Site:
    """Looks like a LocalRegistry to Az."""

    def __init__(self, folder):
        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Website)
        context: ssl.SSLContext = make_context(folder)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.login_server = f'localhost:{self.port}'
        self.ca_file = str(folder / 'ca.pem')

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()


def test_a_server_that_is_no_registry_is_called_so(tmp_path, extensions, forks):
    with _Site(tmp_path) as site:
        run = Az(tmp_path / 'azure', site, extensions, forks)(*PLAN, *TARGET)
    assert run.code != 0 and 'Traceback' not in run.err
    assert 'registry' in run.err and run.out == ''


NAMELESS = {
    'the policy of a plan': ('plan', '--policy'),
    'the policy of an explanation': ('explain', '--policy', '--image', 'team/app:v1'),
    'the plan to write': ('plan', '--out'),
    'the inventory to write': ('plan', '--inventory-out'),
    'the summary to write': ('plan', '--summary-file'),
    'the metrics to write': ('plan', '--metrics-file'),
    'a workspace': ('plan', '--workspace', '--pulled-within', '90d'),
    'pins': ('plan', '--pins'),
    'repositories': ('plan', '--repository'),
    'the plan to carry out': ('apply', '--plan', '--yes'),
    'the plan of a report': ('report', '--plan', '--out', 'report.html'),
    'the archive of a run': ('untagged', '--archive', '--yes'),
    'the registry of an archive': ('restore', '--from-registry', '--archive', 'old', '--all'),
    'the run to undo': ('undo', '--run'),
    'the run to look at': ('history show', '--run'),
    'the repository to delete': ('repository', '--repository', '--yes'),
}


@pytest.mark.parametrize('arguments', NAMELESS.values(), ids=NAMELESS)
@pytest.mark.parametrize('nothing', ['', ' '], ids=['empty', 'blank'])
def test_an_option_that_names_nothing_is_refused_and_nothing_is_asked(az, registry, arguments, nothing):
    command, option, *more = arguments
    run = az('acr', 'prune', *command.split(), *TARGET[: 2 if ' ' in command else None], option, nothing, *more)
    assert run.code == 1 and f'{option}: nothing is named.' in run.err
    assert 'Give a' in run.err or 'Give the' in run.err
    assert run.out == '' and registry.requests == []


def test_an_example_of_a_policy_is_not_written_to_nowhere(az):
    run = az('acr', 'prune', 'policy', 'show-example', '-n', 'ci', '--out', '')
    assert run.code == 1 and 'or leave --out out' in run.err and run.out == ''
