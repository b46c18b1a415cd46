"""Mutations: faults that are put into the code one by one, each of which must make a test fail.

`python -m tests.mutations` copies the project to a temporary folder, changes one line of the copy at a time, and runs
the test that is named for it. Words after the command choose mutations by their text. It answers with one line for each
mutation, and with exit code 1 when a test did not notice its mutation. docs/testing.md has the same table.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_PARTS = ('azext_acrprune', 'tests', 'setup.py', 'setup.cfg', 'pyproject.toml')
_PASSED, _FAILED = 0, 1
"""Exit codes of pytest. Any other one means that the tests did not run."""


class Mutation(NamedTuple):
    """`old` is in `file` once, and becomes `new`; then `test` fails, which is a file and the name of a test in it."""

    fault: str
    file: str
    old: str
    new: str
    test: str


MUTATIONS = (
    Mutation(
        'a tag is no root: it does not keep its manifest',
        'decide/safety.py',
        '    _tagged,\n    _locked,',
        '    _locked,',
        'unit/test_safety.py::test_user_tag_keeps',
    ),
    Mutation(
        'a lock is no root',
        'decide/safety.py',
        '    _locked,\n    _pinned,',
        '    _pinned,',
        'unit/test_safety.py::test_lock_on_the_manifest_keeps',
    ),
    Mutation(
        'a pin is no root',
        'decide/safety.py',
        '    _pinned,\n    _young,',
        '    _young,',
        'unit/test_include.py::test_a_pinned_ghost_stays',
    ),
    Mutation(
        'youth is no root',
        'decide/safety.py',
        '    _young,\n    _settling,',
        '    _settling,',
        'unit/test_safety.py::test_young_index_keeps_its_old_children',
    ),
    Mutation(
        'an unreadable manifest does not close its repository',
        'decide/safety.py',
        '    _unreadable,\n    _quarantined,\n)',
        '    _quarantined,\n)',
        'unit/test_safety.py::test_unreadable_manifest_keeps_every_untagged_one',
    ),
    Mutation(
        'a lock of the repository is not looked at',
        'decide/verdicts.py',
        "(('repository', repository.locks),) if repository.locks.locked else ()",
        '()',
        'unit/test_safety.py::test_lock_on_the_repository_keeps',
    ),
    Mutation(
        'an index does not keep its children',
        'decide/graph.py',
        '            yield child, CHILD_OF\n        for referrer in self.referrers.get(digest, ()):\n',
        '            pass\n        for referrer in self.referrers.get(digest, ()):\n',
        'unit/test_safety.py::test_index_keeps_its_children_recursively',
    ),
    Mutation(
        'a subject does not keep its referrers',
        'decide/graph.py',
        '            yield referrer, REFERRER_OF\n        for subject in self.subjects.get(digest, ()):\n',
        '            pass\n        for subject in self.subjects.get(digest, ()):\n',
        'unit/test_safety.py::test_subject_keeps_its_referrers_recursively',
    ),
    Mutation(
        'a referrer does not keep its subject',
        'decide/graph.py',
        '            yield subject, SUBJECT_OF\n',
        '            pass\n',
        'unit/test_safety.py::test_kept_referrer_keeps_its_subject_which_would_take_it_along',
    ),
    Mutation(
        'an index does not keep the ghosts that it names',
        'decide/graph.py',
        '        yield from self.ghosts.get(digest, ())\n',
        '',
        'unit/test_include.py::test_a_ghost_that_an_index_which_stays_names_stays',
    ),
    Mutation(
        'attachments by tag have no subject',
        'decide/graph.py',
        'return sorted({*attached, subject}) if subject else sorted({*attached})',
        'return [subject] if subject else []',
        'unit/test_graph.py::test_referrers_by_content_and_by_tag_are_both_referrers',
    ),
    Mutation(
        'children are deleted before their index',
        'decide/graph.py',
        'free = [digest for digest in waiting if not waiting.intersection(graph.holders(digest))]',
        'free = sorted(waiting)[:1]',
        'unit/test_graph.py::test_index_goes_before_its_children',
    ),
    Mutation(
        'what has no readable time, or one in the future, is old enough',
        'decide/claims.py',
        '        return False\n    return now - instant',
        '        return True\n    return now - instant',
        'unit/test_safety.py::test_ago_zero_still_keeps_the_future_and_the_timeless',
    ),
    Mutation(
        'the bytes of a manifest are not compared with its digest',
        'decide/manifests.py',
        'if said is None or not _is_content_of(digest, said):',
        'said = said or data\n        if False:',
        'unit/test_manifests.py::test_bytes_that_do_not_hash_to_the_digest_are_unreadable',
    ),
    Mutation(
        'right before deleting, a tag that is new is not seen',
        'decide/drift.py',
        'if set(now.tags) != set(before.tags):',
        'if set(now.tags) < set(before.tags):',
        'unit/test_drift.py::test_added_tag_skips',
    ),
    Mutation(
        'right before deleting, a lock is not looked at',
        'decide/drift.py',
        '    lock = lock_on(fresh, now, include_locked and not _new_locks(digest, seen, fresh))\n',
        '    lock = None\n',
        'unit/test_drift.py::test_lock_on_the_manifest_skips',
    ),
    Mutation(
        'right before deleting, an update is not seen',
        'decide/drift.py',
        '    if now.last_update_time != before.last_update_time:\n',
        '    if False:\n',
        'unit/test_drift.py::test_update_skips',
    ),
    Mutation(
        'right before deleting, nothing that is new keeps what it needs',
        'decide/drift.py',
        '    skipped.update(spared)\n',
        '',
        'unit/test_drift.py::test_new_index_keeps_what_it_needs',
    ),
    Mutation(
        'right before deleting, a new unreadable manifest closes nothing',
        'decide/drift.py',
        '    opaque = _opaque(valid, seen, fresh)\n',
        '    opaque = None\n',
        'unit/test_drift.py::test_new_unreadable_manifest_skips_all',
    ),
    Mutation(
        'where the registry is in several regions, youth is not looked at',
        'decide/safety.py',
        '    _young,\n    _settling,',
        '    _young,',
        'unit/test_safety.py::test_in_several_regions_nothing_goes_that_is_younger_than_a_day_in_any_way',
    ),
    Mutation(
        'what one region alone shows may go',
        'decide/replicas.py',
        'timed = everywhere and all(',
        'timed = all(',
        'unit/test_replicas.py::test_what_one_replica_does_not_show_has_no_time',
    ),
    Mutation(
        'a tag that is on two manifests in two regions may go',
        'decide/replicas.py',
        'agreed = everywhere and len({copy.digest for copy in copies}) == 1',
        'agreed = everywhere',
        'unit/test_replicas.py::test_a_tag_is_without_a_time_unless_every_replica_has_it_on_the_same_manifest',
    ),
    Mutation(
        'a tag of another region alone is not seen',
        'decide/replicas.py',
        'tags=tuple(sorted({tag for copy in copies for tag in copy.tags})),',
        'tags=copies[0].tags,',
        'unit/test_replicas.py::test_a_manifest_has_the_tags_locks_and_quarantine_of_every_replica_and_the_newest_time',
    ),
    Mutation(
        'a push that the log has and no list shows closes nothing',
        'decide/replicas.py',
        'unseen = repository.unseen or next(filter(None, unlisted), None)',
        'unseen = repository.unseen',
        'unit/test_replicas.py::test_what_was_changed_and_is_not_listed_may_need_anything',
    ),
    Mutation(
        'what the log says was changed is not new',
        'decide/replicas.py',
        'if digest in digests or names.intersection(manifest.tags)',
        'if False',
        'unit/test_replicas.py::test_what_the_log_says_was_pushed_tagged_or_locked_is_new',
    ),
    Mutation(
        'right before deleting, only one region is asked',
        'inventory/drafts.py',
        '    if len(registry.replicas) == 1:\n',
        '    if True:\n',
        'wire/test_replicas.py::test_right_before_deleting_every_region_is_asked_again',
    ),
    Mutation(
        'a sign-in that is refused before its time ends the run',
        'registry/bearer.py',
        'if not self._book.may_be_renewed or not _may_pass(error):',
        'if True:',
        'wire/test_client.py::test_a_refresh_token_that_is_refused_before_its_time_leads_to_one_new_sign_in',
    ),
    Mutation(
        'tokens that came to be refused are not waited for',
        'registry/protocol/tokens.py',
        'if not self.was_accepted or now - self._since >= PATIENCE_SECONDS:',
        'if True:',
        'unit/test_tokens.py::test_a_refused_token_is_renewed_then_its_sign_in_then_it_is_waited_for',
    ),
    Mutation(
        'deletes have the budget of a year ago',
        'registry/protocol/pacing.py',
        'Calls.DELETES: 500, Calls.TOKENS',
        'Calls.DELETES: 100, Calls.TOKENS',
        'unit/test_pacing.py::test_what_is_left_in_a_second_tells_the_rate_to_begin_with',
    ),
    Mutation(
        'a layer is freed although others hold it',
        'decide/impact.py',
        'if count == self.holders(blob))',
        'if count)',
        'unit/test_impact.py::test_layer_that_a_survivor_in_another_repository_uses_is_shared',
    ),
    Mutation(
        'the listing right before deleting is that of the plan',
        'apply/repository.py',
        'there = await rescan(self._registry, before)',
        'there = self._work.seen',
        'wire/test_execute.py::test_a_manifest_that_got_a_tag_is_skipped',
    ),
    Mutation(
        'what a manifest needs that could not be deleted is deleted all the same',
        'apply/repository.py',
        '            todo -= set(spared)\n',
        '',
        'wire/test_execute.py::test_an_index_that_cannot_be_deleted_leaves_its_children',
    ),
    Mutation(
        'the registry is not looked at again after ten seconds of deleting',
        'registry/permit.py',
        'LISTING_SECONDS = 10',
        'LISTING_SECONDS = 1000',
        'wire/test_execute.py::test_the_registry_is_looked_at_again_after_ten_seconds_of_deleting',
    ),
    Mutation(
        'a deletion leaves although its permit ended while a connection was made',
        'registry/transport.py',
        '            leaving.now()\n',
        '            pass\n',
        'wire/test_transport.py::test_a_permit_that_ends_while_a_connection_is_made_lets_nothing_leave',
    ),
    Mutation(
        'what is still listed after the run counts as deleted',
        'apply/look_back.py',
        '    tally.settle(now, unanswered)\n',
        '',
        'wire/test_window.py::test_what_is_still_listed_after_the_run_was_not_deleted',
    ),
    Mutation(
        'what somebody else deleted counts as deleted',
        'apply/tally.py',
        '            if self._fell(key):\n                self.deleted',
        '            if True:\n                self.deleted',
        'wire/test_window.py::test_a_second_run_after_the_first_claims_nothing',
    ),
    Mutation(
        'a repository without permission is tried to the end',
        'apply/repository.py',
        '                self._refused = str(error)',
        '                pass',
        'wire/test_execute.py::test_a_missing_permission_fails_one_repository_after_a_few_requests',
    ),
    Mutation(
        'locks that were taken off stay off when the deletion fails',
        'apply/repository.py',
        '                still_open = await self._lock_again(opened)\n',
        '                still_open = None\n',
        'wire/test_attacks.py::test_locked_image_that_cannot_be_deleted_is_locked_again_with_its_tag',
    ),
    Mutation(
        'a stopped run does not finish what hangs on what it deleted',
        'apply/repository.py',
        '        if not self._stop.interrupted:\n            await self._finish(doomed)\n',
        '',
        'wire/test_time_limit.py::test_stopped_after_any_number_of_deletes_and_run_again_the_same_is_left_as_after_one_run',
    ),
    Mutation(
        'a stopped run finishes what something else needs',
        'apply/repository.py',
        '            begun -= set(needed(build_graph(look.there), begun, set(look.there.manifests) - begun))\n',
        '',
        'wire/test_time_limit.py::test_what_something_else_needs_is_not_finished',
    ),
    Mutation(
        'a request is sent before it is written down',
        'apply/journal.py',
        "            await self._journal.write_with_others('request', **_said(what))\n",
        '            pass\n',
        'unit/test_journal.py::test_a_request_is_written_down_before_it_is_sent_and_its_outcome_after_it',
    ),
    Mutation(
        'referrers that the service deletes with their subject are not written down',
        'apply/journal.py',
        '        self._note_falling(repository, digest)\n',
        '',
        'unit/test_journal.py::test_what_the_service_deletes_with_its_subject_is_written_down_with_it',
    ),
    Mutation(
        'after a disk that failed, requests are sent again',
        'apply/journal.py',
        '        if self._broken is not None:\n',
        '        if False:\n',
        'unit/test_journal.py::test_after_a_disk_that_failed_once_nothing_is_sent',
    ),
)


def main(words: list[str]) -> int:
    chosen = [each for each in MUTATIONS if not words or any(word in each.fault for word in words)]
    if not chosen:
        print('No mutation has any of these words.')
        return 1
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy_to(copy)
        if not _do_pass(copy, chosen):
            print('The tests fail without any mutation.')
            return 1
        noticed = [_is_noticed(copy, each) for each in chosen]
    print(f'{sum(noticed)} of {len(noticed)} mutations were noticed.')
    return 0 if all(noticed) else 1


def _copy_to(folder: Path) -> None:
    for part in _PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, folder / part)


def _do_pass(folder: Path, chosen: list[Mutation]) -> bool:
    return _run(folder, sorted({each.test for each in chosen})) == _PASSED


def _is_noticed(folder: Path, mutation: Mutation) -> bool:
    file = folder / 'azext_acrprune' / mutation.file
    code = file.read_text(encoding='utf-8')
    file.write_text(mutated(code, mutation), encoding='utf-8')
    try:
        noticed = _run(folder, [mutation.test]) == _FAILED
    finally:
        file.write_text(code, encoding='utf-8')
    print(f'{"noticed" if noticed else "NOT NOTICED"}: {mutation.fault} ({mutation.test})', flush=True)
    return noticed


def mutated(code: str, mutation: Mutation) -> str:
    """The code with the mutation in it. Raises ValueError where it does not fit the code any more."""
    if code.count(mutation.old) != 1:
        raise ValueError(f'{mutation.file} has not just once: {mutation.old!r}')
    return code.replace(mutation.old, mutation.new)


def _run(folder: Path, tests: list[str]) -> int:
    command = [sys.executable, '-m', 'pytest', '-x', '-p', 'no:cacheprovider', *(f'tests/{test}' for test in tests)]
    environment = {**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'}
    return subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False).returncode


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
