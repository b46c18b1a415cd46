"""What `az acr prune tags` takes, worked out the slow and obvious way from semantics.md (`acr purge` compatibility).

It shares no code with the package on purpose: the property tests compare the two. Worlds are those of tests.oracle;
a repository has 'tag_times' too: {tag: ticks, or None}, where a tag that is not in it has the time of its manifest. A
manifest may have 'created', and a repository 'tag_created', which are like 'updated' and 'tag_times'.

Flags are plain data, with the names of the options:

    flags = {'filter': [(repository regex, tag regex)], 'match': [(glob, glob)], 'exclude': [(glob, glob)],
             'repository': [glob], 'ago': text, 'age_by': 'updated' | 'created', 'keep': number,
             'keep_semver': number, 'keep_untagged': number or None, 'keep_per': [(number, regex)],
             'untagged': bool, 'untagged_only': bool, 'include_locked': bool, 'include': [what is asked for by name]}

Sets of tags are sets of (repository name, tag). What is meant to differ from `acr purge`: attachment tags are no user
tags, tags of a locked manifest stay, nothing goes that something kept needs, `--ago` is one day when left out, and the
repository expression has to match the whole name even where it has alternatives.
"""

import re

from tests import oracle

SECONDS = {
    '0': 0,
    '10m': 600,
    '1h15m': 4_500,
    '1d': 86_400,
    '2d3h6m': 183_960,
    '20d': 1_728_000,
    '35d': 3_024_000,
    '999999d': 86_399_913_600,
    '10000000000000d': 864_000_000_000_000_000,
}


# --- Patterns ----------------------------------------------------------------------------------------------------


def glob_matches(glob, name):
    """`?` and `*` stay inside one namespace, `**` crosses them, and `**/` is any number of namespaces or none."""
    if not glob:
        return not name
    if glob.startswith('**/'):
        starts = [0] + [position + 1 for position, char in enumerate(name) if char == '/']
        return any(glob_matches(glob[3:], name[start:]) for start in starts)
    if glob.startswith('**'):
        return any(glob_matches(glob[2:], name[start:]) for start in range(len(name) + 1))
    if glob[0] == '*':
        return glob_matches(glob[1:], name) or bool(name) and name[0] != '/' and glob_matches(glob, name[1:])
    if glob[0] == '?':
        return bool(name) and name[0] != '/' and glob_matches(glob[1:], name[1:])
    return bool(name) and name[0] == glob[0] and glob_matches(glob[1:], name[1:])


def selects_tags(flags):
    """Without a pattern, and with `--untagged-only`, no tag goes."""
    return bool(flags['filter'] or flags['match']) and not flags['untagged_only']


def selects_repository(flags, name):
    """A repository that `--repository` names, if it is given, and that some pattern has, if there is one."""
    if flags['repository'] and not any(glob_matches(glob, name) for glob in flags['repository']):
        return False
    if not flags['filter'] and not flags['match']:
        return True
    return any(re.fullmatch(repository, name) for repository, _ in flags['filter']) or any(
        glob_matches(repository, name) for repository, _ in flags['match']
    )


def selects_tag(flags, name, tag):
    """Some pattern has the repository and the tag: the tag expression is searched for, a glob is of the whole tag."""
    return any(
        re.fullmatch(repository, name) and re.search(expression, tag) for repository, expression in flags['filter']
    ) or any(glob_matches(repository, name) and glob_matches(glob, tag) for repository, glob in flags['match'])


def is_excluded(flags, name, tag):
    return any(glob_matches(repository, name) and glob_matches(glob, tag) for repository, glob in flags['exclude'])


# --- Times and locks ---------------------------------------------------------------------------------------------


def manifest_time(flags, manifest):
    if flags['age_by'] == 'created':
        return manifest.get('created', manifest['updated'])
    return manifest['updated']


def tag_time(flags, repository, manifest, tag):
    """By creation it is that of the image, but since a tag was moved it has to be as old."""
    moved = repository['tag_times'].get(tag, manifest['updated'])
    if flags['age_by'] == 'created':
        created = manifest_time(flags, manifest)
        return None if moved is None or created is None else max(moved, created)
    return moved


def is_old(flags, time, now):
    """Old enough to go: a time that is not there, or to come, is young (Pushes in flight)."""
    return time is not None and time <= now and now - time >= SECONDS[flags['ago']] * oracle.TICKS


def protects_tag(flags, repository, manifest, tag):
    """A lock on the tag, on its manifest or on the repository; `--include-locked` leaves that of the repository."""
    if flags['include_locked']:
        return bool(repository['locks'])
    return bool(repository['locks'] or manifest['locks'] or repository['tag_locks'].get(tag))


def protects_manifest(flags, repository, manifest):
    if flags['include_locked']:
        return bool(repository['locks'])
    return oracle.is_locked(repository, manifest)


# --- Tags --------------------------------------------------------------------------------------------------------


def candidates(repository, flags, now):
    """(tag, time) of the tags that match and are old enough; those that stay anyway take the place of no other."""
    found = []
    for manifest in repository['manifests']:
        for tag in manifest['tags']:
            time = tag_time(flags, repository, manifest, tag)
            if (
                selects_tags(flags)
                and selects_repository(flags, repository['name'])
                and oracle.attached_to(tag, manifest) is None
                and selects_tag(flags, repository['name'], tag)
                and not is_excluded(flags, repository['name'], tag)
                and not protects_tag(flags, repository, manifest, tag)
                and not manifest['quarantine']
                and is_old(flags, time, now)
            ):
                found.append((tag, time))
    return found


def tags_to_remove(repository, flags, now):
    """The candidates without those that `--keep`, `--keep-semver` and `--keep-per` spare; a ghost is no image.

    What is no version, or in no group, cannot be ranked by it, and stays.
    """
    found = candidates(repository, flags, now)
    uncounted = {
        tag
        for manifest in repository['manifests']
        if not counts(flags, repository, manifest)
        for tag in manifest['tags']
    }
    newest_first = sorted(sorted(found), key=lambda pair: pair[1], reverse=True)
    names = [tag for tag, _ in newest_first if tag not in uncounted]
    unranked = {
        tag
        for tag in names
        if flags['keep_semver']
        and not version(tag)
        or any(not re.search(expression, tag) for _, expression in flags['keep_per'])
    }
    names = [tag for tag in names if tag not in unranked]
    spared = unranked | set(names[: flags['keep']])
    for prerelease in (False, True):
        versions = [tag for tag in names if version(tag) and bool(version(tag)[3]) == prerelease]
        versions.sort(key=version_order, reverse=True)
        spared.update(versions[: flags['keep_semver']])
    for number, expression in flags['keep_per']:
        groups = {}
        for tag in names:
            match = re.search(expression, tag)
            if match:
                groups.setdefault(str(sorted(match.groupdict().items())), []).append(tag)
        for members in groups.values():
            spared.update(members[:number])
    return {tag for tag, _ in found} - spared


def counts(flags, repository, manifest):
    """Whether `--keep` counts a manifest: nothing that answers 404, and no index that lacks a child.

    The latter where those are to go.
    """
    return (
        oracle.exists(manifest)
        and not manifest.get('missing')
        and not ('partial' in flags['include'] and oracle.is_partial(repository, manifest))
    )


def version(tag):
    """(major, minor, patch, identifiers of the pre-release) of a semantic version, with or without a `v`.

    Helm writes the `+` before the build as `_`; the build does not count.
    """
    number = r'(0|[1-9]\d*)'
    match = re.fullmatch(rf'v?{number}\.{number}\.{number}(?:-([0-9A-Za-z.-]+))?(?:_[0-9A-Za-z.-]+)?', tag)
    if not match:
        return None
    identifiers = match[4].split('.') if match[4] else []
    if any(not each or each.isdigit() and each != str(int(each)) for each in identifiers):
        return None
    return int(match[1]), int(match[2]), int(match[3]), identifiers


def version_order(tag):
    """Numbers below words, and a version before those that go on after it (semver.org, 11)."""
    major, minor, patch, identifiers = version(tag)
    return major, minor, patch, [(0, int(each), '') if each.isdigit() else (1, 0, each) for each in identifiers]


def settled(world, flags, now):
    """Ghosts that may only not be there for the moment, for the age that is asked of untagged manifests there."""
    return [
        each
        for repository in world
        for asked in [selects_repository(flags, repository['name']) and (flags['untagged'] or not selects_tags(flags))]
        for each in oracle.settled([repository], SECONDS[flags['ago']] if asked else 0, flags['include'], now)
    ]


def all_tags_to_remove(world, flags, now):
    world = settled(world, flags, now)
    return {(repository['name'], tag) for repository in world for tag in tags_to_remove(repository, flags, now)}


# --- Manifests ---------------------------------------------------------------------------------------------------


def untagged_after(repository, flags, now):
    """The manifests that no user tag is left on, once the tags are removed."""
    removed = tags_to_remove(repository, flags, now)
    return [
        manifest
        for manifest in repository['manifests']
        if all(tag in removed or oracle.attached_to(tag, manifest) is not None for tag in manifest['tags'])
    ]


def newest_untagged(repository, flags, now):
    """`--keep` counts untagged images where no tags are selected (Keeping the newest untagged).

    Where they are, it counts those that have no tag left and are old enough, as acr purge does since 0.18
    (Azure/acr-cli#644); `--keep-untagged` gives them a number of their own.
    """
    if selects_tags(flags):
        return newest_left(repository, flags, now)
    rank = {manifest['digest']: manifest_time(flags, manifest) for manifest in repository['manifests']}
    same_times = dict(
        repository, manifests=[dict(manifest, updated=rank[manifest['digest']]) for manifest in repository['manifests']]
    )
    keep = flags['keep'] if flags.get('keep_untagged') is None else flags['keep_untagged']
    return oracle.newest_images(same_times, keep, flags['include'])


def newest_left(repository, flags, now):
    removed = tags_to_remove(repository, flags, now)
    left = [
        dict(
            manifest,
            tags=[tag for tag in manifest['tags'] if tag not in removed],
            updated=manifest_time(flags, manifest),
        )
        for manifest in repository['manifests']
    ]
    parts = [digest for manifest in left if oracle.exists(manifest) for digest in oracle.children(manifest)]
    old = [
        manifest
        for manifest in left
        if not manifest['tags']
        and manifest['state'] == 'read'
        and manifest['digest'] not in parts
        and not oracle.oci_subjects(manifest)
        and counts(flags, repository, manifest)
        and is_old(flags, manifest['updated'], now)
    ]
    old.sort(key=lambda manifest: (-manifest['updated'], manifest['digest']))
    keep = flags['keep'] if flags.get('keep_untagged') is None else flags['keep_untagged']
    return [manifest['digest'] for manifest in old[:keep]]


def stays_by_itself(world, repository, manifest, flags, now):
    return (
        manifest not in untagged_after(repository, flags, now)
        or not selects_repository(flags, repository['name'])
        or any(glob_matches(name, repository['name']) and tag in ('*', '**') for name, tag in flags['exclude'])
        or protects_manifest(flags, repository, manifest)
        or not is_old(flags, manifest_time(flags, manifest), now)
        or manifest['digest'] in newest_untagged(repository, flags, now)
        or manifest['state'] == 'unreadable'
        or not is_asked_for(world, repository, manifest, flags)
        or any(map(oracle.is_opaque, repository['manifests']))
        or bool(manifest['quarantine'])
    )


def is_orphan_after(repository, manifest):
    """An attachment whose subject does not exist is deleted only when asked: its attachment tag is not taken."""
    there = [other['digest'] for other in repository['manifests'] if oracle.exists(other)]
    attached = [tag for tag in manifest['tags'] if oracle.attached_to(tag, manifest)]
    return bool(attached) and not any(subject in there for subject in oracle.subjects(manifest))


def is_asked_for(world, repository, manifest, flags):
    if not oracle.exists(manifest):
        return 'ghosts' in flags['include']
    return (
        not is_orphan_after(repository, manifest)
        or 'orphans' in flags['include']
        and oracle.is_nowhere_an_attachment(world, manifest)
    )


def manifests_to_delete(world, flags, now):
    """Those without a tag that are old themselves and that nothing kept needs, where they were asked for."""
    if selects_tags(flags) and not flags['untagged']:
        return set()
    world = settled(world, flags, now)
    doomed = set()
    for repository in world:
        stay = oracle.closure(
            repository,
            [
                manifest['digest']
                for manifest in repository['manifests']
                if stays_by_itself(world, repository, manifest, flags, now)
            ],
        )
        doomed |= {
            (repository['name'], manifest['digest'])
            for manifest in repository['manifests']
            if manifest['digest'] not in stay
        }
    return doomed


def without_tags(world, removed):
    """The world after tags were removed."""
    return [
        dict(
            repository,
            manifests=[
                dict(manifest, tags=[tag for tag in manifest['tags'] if (repository['name'], tag) not in removed])
                for manifest in repository['manifests']
            ],
        )
        for repository in world
    ]
