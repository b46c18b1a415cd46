"""What one rule of a policy says of one image, read the slow and obvious way from the tables in docs/policies.md.

It shares no code with the package on purpose. Answers are True, False, or None for what is not known. `facts` is plain
data: `labels` of configs by digest, the last pull of digests as `pulled`, `since` when the log of pulls goes back, and
when this program took off the last tag of digests as `untagged`; instants are in ticks.
"""

import re

from tests import oracle, purge_oracle

DAY = 86_400
UNITS = {'h': 3_600, 'd': DAY, 'w': 7 * DAY, 'm': 31 * DAY, 'mo': 31 * DAY, 'y': 366 * DAY}
INDEXES = oracle.INDEXES


def all_of(answers):
    answers = list(answers)
    return False if False in answers else None if None in answers else True


def any_of(answers):
    answers = list(answers)
    return True if True in answers else None if None in answers else False


# --- match -------------------------------------------------------------------------------------------------------


def rule_of(document, repository, manifest, tag, facts):
    """(the first rule whose `match` has it, or may have it; whether it is known to have it)."""
    for rule in document['rules']:
        answer = claims(rule, repository, manifest, tag, facts)
        if answer is not False:
            return rule, answer is True
    return None, True


def claims(rule, repository, manifest, tag, facts):
    """To keep an index one of its images is enough; to take it all of them have to be so. `not` is the other way."""
    keeps = rule['do'] == 'keep'
    answer = has_all(rule['match'], repository, manifest, tag, keeps, facts)
    if 'not' not in rule['match'] or answer is False:
        return answer
    excepted = has_all(rule['match']['not'], repository, manifest, tag, not keeps, facts)
    return all_of([answer, None if excepted is None else not excepted])


def has_all(match, repository, manifest, tag, one, facts):
    if not is_there(match, repository, tag):
        return False
    return all_of(
        [
            'quarantine' not in match or manifest.get('quarantine') in match['quarantine'],
            'mediaTypes' not in match or has_type(match, repository, manifest, one),
            'platforms' not in match or is_for(match, repository, manifest, one),
            'annotations' not in match or is_annotated(match, repository, manifest, one),
            'labels' not in match or is_labelled(match, repository, manifest, one, facts),
        ]
    )


def is_there(match, repository, tag):
    globs = match.get('repositories', ['**'])
    if not any(purge_oracle.glob_matches(glob, repository['name']) for glob in globs):
        return False
    if tag is None:
        return match.get('tagged') is not True and 'tags' not in match
    wanted = match.get('tags', ['*'])
    return match.get('tagged') is not False and any(purge_oracle.glob_matches(glob, tag) for glob in wanted)


def images(repository, manifest):
    """An index is its images, through other indexes; anything else is itself."""
    there = [each for each in repository['manifests'] if oracle.exists(each)]

    def parts(one):
        return [each for each in there if each['digest'] in oracle.children(one)] if oracle.exists(one) else []

    found = [manifest]
    for one in found:
        found += [each for each in parts(one) if each not in found]
    return [one for one in found if not parts(one)]


def may_be_an_index(manifest):
    """What could not be read may have parts, unless its type has none."""
    return manifest['state'] == 'unreadable' and manifest['media_type'] not in oracle.DOCKER_IMAGES


def has_type(match, repository, manifest, one):
    looked_at = [manifest, *(images(repository, manifest) if one else [])]
    if any(each['media_type'] in match['mediaTypes'] for each in looked_at):
        return True
    return None if one and any(map(may_be_an_index, looked_at[1:])) else False


def is_for(match, repository, manifest, one):
    answers = [
        None if each.get('platform') is None and may_be_an_index(each) else each.get('platform') in match['platforms']
        for each in images(repository, manifest)
    ]
    return (any_of if one else all_of)(answers)


def is_annotated(match, repository, manifest, one):
    """By the index itself, or by its images."""
    own = has_pairs(match['annotations'], annotations(manifest))
    others = [each for each in images(repository, manifest) if each is not manifest]
    if not others:
        return own
    theirs = (any_of if one else all_of)([has_pairs(match['annotations'], annotations(each)) for each in others])
    return any_of([own, theirs])


def is_labelled(match, repository, manifest, one, facts):
    answers = [has_pairs(match['labels'], labels(each, facts)) for each in images(repository, manifest)]
    return (any_of if one else all_of)(answers)


def has_pairs(wanted, given):
    if given is None:
        return None
    return all(
        key in given and re.fullmatch('.*'.join(map(re.escape, value.split('*'))), given[key], re.DOTALL)
        for key, value in wanted.items()
    )


def annotations(manifest):
    return manifest['document'].get('annotations', {}) if manifest['state'] == 'read' else None


def labels(manifest, facts):
    if manifest['state'] != 'read':
        return None
    config = manifest['document'].get('config')
    return facts.get('labels', {}).get(config['digest']) if config else {}


def describes(rule):
    """Whether a rule says what an image is like."""
    return bool(rule['match'].keys() & {'mediaTypes', 'platforms', 'annotations', 'labels', 'quarantine'})


def names_quarantine(rule, manifest):
    return manifest['quarantine'] in rule['match'].get('quarantine', ())


# --- when --------------------------------------------------------------------------------------------------------


def flags(rule):
    """The age of a rule in the words of tests.purge_oracle."""
    return {
        'ago': rule.get('when', {}).get('olderThan', '1d'),
        'age_by': rule.get('when', {}).get('by', 'updated'),
        'include_locked': False,
        'include': (),
    }


def old_tag(rule, repository, manifest, tag, now):
    return purge_oracle.is_old(flags(rule), purge_oracle.tag_time(flags(rule), repository, manifest, tag), now)


def old_manifest(rule, manifest, now, facts, at_most=None):
    """Whether its age is over, or that of a day where a part only has to be no push under way."""
    how = flags(rule)
    if at_most is not None and purge_oracle.SECONDS[how['ago']] > at_most:
        how['ago'] = '1d'
    tagged = any(oracle.attached_to(tag, manifest) is None for tag in manifest['tags'])
    said = tagged or 'untaggedFor' in rule.get('when', {})
    untagged = None if said else facts.get('untagged', {}).get(manifest['digest'])
    own = purge_oracle.is_old(how, purge_oracle.manifest_time(how, manifest), now)
    return own and (untagged is None or purge_oracle.is_old(how, untagged, now))


def is_due(rule, repository, manifest, tag, now, facts):
    """Whether all is known to be true that a rule waits for beside the age."""
    when = rule.get('when', {})
    digest = manifest['digest']
    last, since = facts.get('pulled', {}).get(digest), facts.get('since')
    created = manifest.get('created', manifest['updated'])
    if 'notPulledFor' in when:
        begin = now - ticks(when['notPulledFor'])
        if last is not None and last > begin or since is None or since > begin:
            return False
    if 'neverPulledAfter' in when:
        known = since is not None and created is not None and created >= since
        if last is not None or not known or not is_past(created, when['neverPulledAfter'], now):
            return False
    if 'untaggedFor' in when:
        untagged = facts.get('untagged', {}).get(digest)
        changed = manifest['updated']
        if tag is not None or untagged is None or changed is None:
            return False
        if not is_past(max(untagged, changed), when['untaggedFor'], now):
            return False
    return 'expired' not in when or has_expired(when['expired']['keys'], repository, manifest, now, facts)


def ticks(text):
    return purge_oracle.SECONDS[text] * oracle.TICKS


def is_past(instant, text, now):
    return instant <= now and now - instant >= ticks(text)


def has_expired(keys, repository, manifest, now, facts):
    """Whether what is said of an image, or by each of its images, is over: the latest counts."""
    parts = [each for each in images(repository, manifest) if each is not manifest]
    if any(annotations(each) is None or labels(each, facts) is None for each in (manifest, *parts)):
        return False
    own = ends(keys, repository, manifest, facts)
    theirs = [ends(keys, repository, each, facts) for each in parts]
    if not own and not (theirs and all(theirs)):
        return False
    every = own + [end for each in theirs for end in each]
    return all(end is not None and end <= now for end in every)


def ends(keys, repository, manifest, facts):
    """The instants that an image, and what refers to it, says; None for never and for what cannot be understood."""
    created = manifest.get('created', manifest['updated'])
    said = [(labels(manifest, facts), created), (annotations(manifest), created)]
    for each in repository['manifests']:
        if oracle.exists(each) and manifest['digest'] in oracle.subjects(each):
            said.append((annotations(each), each.get('created', each['updated'])))
    return [instant(pairs[key], since) for key in keys for pairs, since in said if key in (pairs or {})]


def instant(text, since):
    match = re.fullmatch(r'(\d+)([a-z]+)', text)
    if not match or since is None or match[2] not in UNITS:
        return None
    return since + int(match[1]) * UNITS[match[2]] * oracle.TICKS


# --- keep --------------------------------------------------------------------------------------------------------


def last_pull(manifest, facts):
    """0 for never, None where the log does not go back far enough."""
    last, since = facts.get('pulled', {}).get(manifest['digest']), facts.get('since')
    created = manifest.get('created', manifest['updated'])
    known = since is not None and created is not None and created >= since
    return last or (0 if known else None)


def has_rank(keep, tag, manifest, facts):
    """Whether it can be ranked by all that a rule keeps by."""
    groups = [keep[key]['pattern'] for key in ('perGroup',) if key in keep]
    groups += [keep['thin']['perGroup']] if 'perGroup' in keep.get('thin', {}) else []
    if 'perSubject' in keep or 'semver' in keep and (tag is None or purge_oracle.version(tag) is None):
        return False
    if any(tag is None or not re.search(group, tag) for group in groups):
        return False
    return 'recentlyPulled' not in keep or last_pull(manifest, facts) is not None


def kept(keep, entries, facts):
    """The names of the entries (instant, name, manifest, tag) that stay for their rank."""
    entries = sorted(entries, key=lambda each: (-each[0], each[1]))
    units = [[entry] for entry in entries]
    if keep.get('count', 'images') == 'images':
        digests = list(dict.fromkeys(manifest['digest'] for _, _, manifest, _ in entries))
        units = [[each for each in entries if each[2]['digest'] == digest] for digest in digests]
    chosen = units[: keep.get('newest', 0)]
    if 'semver' in keep:
        for pre in (False, True):
            ranked = [(best, unit) for unit in units for best in [best_version(unit, pre)] if best]
            ranked.sort(key=lambda each: each[0], reverse=True)
            chosen += [unit for _, unit in ranked[: keep['semver']]]
    if 'perGroup' in keep:
        for members in grouped(units, keep['perGroup']['pattern']):
            chosen += members[: keep['perGroup']['newest']]
    if 'recentlyPulled' in keep:
        pulled = [unit for unit in units if last_pull(unit[0][2], facts)]
        pulled.sort(key=lambda unit: -last_pull(unit[0][2], facts))
        chosen += pulled[: keep['recentlyPulled']]
    if 'thin' in keep:
        group = keep['thin'].get('perGroup')
        for members in grouped(units, group) if group else [units]:
            chosen += thinned(members, keep['thin'])
    return {name for unit in chosen for _, name, _, _ in unit}


def best_version(unit, pre):
    found = [
        purge_oracle.version_order(tag)
        for _, _, _, tag in unit
        if tag is not None and purge_oracle.version(tag) and bool(purge_oracle.version(tag)[3]) is pre
    ]
    return max(found, default=None)


def grouped(units, pattern):
    """The units of each group, in order; a unit is in each group that one of its tags is in."""
    groups = {}
    for unit in units:
        for key in {re.search(pattern, tag)[1] for _, _, _, tag in unit if tag and re.search(pattern, tag)}:
            groups.setdefault(key, []).append(unit)
    return groups.values()


PERIODS = {'hourly': 3_600, 'daily': DAY, 'weekly': 7 * DAY}


def thinned(units, thin):
    """The newest of each period that has one, and the oldest of all where a place is left; weeks begin on Monday."""
    chosen = []
    for word, seconds in PERIODS.items():
        found = []
        for place, unit in enumerate(units):
            period = (unit[0][0] // oracle.TICKS - (4 * DAY if word == 'weekly' else 0)) // seconds
            newest = all(
                (other[0][0] // oracle.TICKS - (4 * DAY if word == 'weekly' else 0)) // seconds != period
                for other in units[:place]
            )
            if len(found) < thin.get(word, 0) and (newest or place == len(units) - 1):
                found.append(unit)
        chosen += found
    return chosen
