"""`WWW-Authenticate` -> data."""

from __future__ import annotations

import re

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


def parse_challenge(header: str) -> dict[str, str]:
    """The parameters of a Bearer challenge (`realm`, `service`, `scope`, `error`); empty for any other scheme."""
    scheme, _, parameters = header.partition(' ')
    return dict(_PARAMETER.findall(parameters)) if scheme.lower() == 'bearer' else {}
