"""What the key and the neighbours of a text tell of it: whether it is run, made, or one of several."""

from __future__ import annotations

import re

from .around import plain
from .scopes import Scope, Use, Value
from .silent import FILLED_IN

_RUNS = ('image', 'imageid', 'container', 'uses', 'from', 'baseimage', 'images', 'containers', 'dockerpull')
_SELECTING = frozenset(('tagselection', 'semverconstraint', 'constraint', 'allowtags', 'imageselectionstrategy'))
"""Keys that say which tag is taken: one of vendir, kapp and Kargo, and it is not known which."""

_IN_COMMAND = re.compile(r'\$\{?\w*(?:reg|acr|hub)\w*\}?/[a-z0-9]', re.IGNORECASE)
_ONE = (Value('1'),)
_DIGIT = re.compile(r'[\d$]')
"""Tags without one are those of GitLab's runners, and none of images."""


def runs_latest(use: Use, scope: Scope) -> bool:
    """Whether an image without a tag means `latest`: one under `image`, unless `tags` beside it are of images."""
    return use.key == 'image' and not any(_DIGIT.search(tag.text) for tag in scope.entries.get('tags', _ONE))


def is_output(use: Use, scope: Scope) -> bool:
    """Whether a build makes the image and tags it."""
    return scope.key == 'artifacts' or use.key == 'images' and 'tags' in scope.entries


def selects(scope: Scope) -> bool:
    """Whether another tool takes one of several tags."""
    return any(plain(key) in _SELECTING for key in (*scope.entries, *scope.children))


def has_open_host(text: str, use: Use) -> bool:
    """Whether an image is run whose registry another tool fills in."""
    if use.runs:
        return _IN_COMMAND.search(text) is not None
    return use.key != '' and is_run(use.key) and FILLED_IN.match(text) is not None


def is_run(key: str) -> bool:
    """Whether an image under this key is run as it stands there, so that one without a tag means `latest`."""
    return not key or plain(key).endswith(_RUNS)
