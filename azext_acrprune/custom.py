"""The commands: gather, decide, show or apply."""
from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timezone

from azure.cli.core.azclierror import ForbiddenError, NoTTYError
from knack.log import get_logger

from ._errors import file_error, typed_errors
from .decide.policy import DEFAULT_AGO, UntaggedPolicy, parse_ago
from .model import TICKS_PER_SECOND

logger = get_logger(__name__)


def plan(cmd, registry_name, resource_group_name=None, suffix=None, username=None, password=None, repository=None,
         ago=DEFAULT_AGO, keep=0, impact='exact', concurrency=32, show_kept=False, out=None, ago_seconds=None):
    """`az acr prune plan`"""
