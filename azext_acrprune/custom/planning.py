"""The commands that only look: `plan` and `explain`."""

from __future__ import annotations

from knack.log import get_logger

from .failures import exit_with_failure, says_unread
from .selecting import policy_of_options
from .session import open_session
from .user_files import write_json

logger = get_logger(__name__)


def plan(cmd, show_kept=False, group_by=None, out=None, policy_file=None, **kwargs):
    """What may be deleted, and what that frees; deletes nothing."""
    from ..decide.decision import first_excess
    from ..show.money import saving_line

    policy = policy_of_options(kwargs, policy_file)
    with open_session(cmd, kwargs) as session:
        decision = session.decide(policy)
    document = session.document(decision, show_kept, group_by)
    excess = first_excess(decision, policy.limits)
    if excess:
        logger.warning('The plan is over a limit of its policy and will not be carried out: %s.', excess)
    if group_by and 'cost' in document:  # a table of groups has no room for it
        logger.warning(saving_line(document['cost'], document['impact']))
    if out:
        write_json(document, out)
    exit_with_failure(cmd, says_unread(document))
    return document


def explain(cmd, images, policy_file=None, **kwargs):
    """The whole decision for one image."""
    from ..documents.explain import explain as explained

    policy = policy_of_options(kwargs, policy_file)
    with open_session(cmd, kwargs) as session:
        document = explained(session.decide(policy), images[0])
    logger.warning(document['explanation'])
    return document
