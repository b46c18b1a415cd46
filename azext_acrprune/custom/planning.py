"""The commands that only look: `plan` and `explain`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from knack.log import get_logger

from .._errors import typed_errors
from .command import Command
from .consent import say_plan
from .deciding import decide_by_rules, document_of
from .failures import NOT_ALL_READ, exit_by
from .fleet import in_each_registry
from .options import LimitOptions, PriceOptions, RecordOptions, RegistryOptions, SelectOptions, read
from .recording import recorded
from .regions import settling_of_named, unsettled_of
from .selecting import policy_of_options, refuse_idle_patterns
from .session import open_session
from .states import refuse_unknown_state, state_of_policy, write_plan
from .user_files import write_json

if TYPE_CHECKING:
    from ..decide.decision import Decision
    from ..decide.named import ImageName
    from ..model import Document
    from ..policy.rules import Policy

logger = get_logger(__name__)


@in_each_registry
def plan(
    cmd: Command,
    show_kept: bool = False,
    group_by: str | None = None,
    out: str | None = None,
    policy_file: str | None = None,
    strict_policy: bool = False,
    inventory_out: str | None = None,
    detailed_exit_code: bool = False,
    **kwargs: object,
) -> Document:
    """What may be deleted, and what that frees; deletes nothing."""
    from ..documents.inventory_file import inventory_document
    from ..documents.planned import STATE
    from ..show.money import saving_line

    options = SelectOptions.of(kwargs, policy_file)
    registry = RegistryOptions.of({**kwargs, 'policy_file': policy_file})
    with recorded(cmd, registry.sign_in, read(RecordOptions, kwargs)) as record:
        with typed_errors():
            refuse_unknown_state(cmd, registry.state, out or '')
        policy = policy_of_options(options, registry.sign_in.registry_name)
        with typed_errors():
            state = state_of_policy(policy_file) if policy_file and not registry.state.state else None
        if state:  # whoever carries out the plan has no policy
            policy = replace(policy, given={**policy.given, STATE: state})
        with open_session(cmd, registry) as session:
            record.session = session
            decision = decide_by_rules(session, policy, options, everywhere=bool(inventory_out))
            if strict_policy:
                refuse_idle_patterns(decision)
        document = document_of(session, decision, read(PriceOptions, kwargs).price, show_kept, group_by)
        _say_excess(decision, policy, read(LimitOptions, kwargs))
        if group_by and 'cost' in document:  # a table of groups has no room for it
            logger.warning('%s', saving_line(document['cost'], document['impact']))
        say_plan(cmd, document)
        if out:
            with typed_errors():
                write_plan(cmd, registry.state, document, out)
        if inventory_out:
            write_json(inventory_document(decision.inventory, session.now, policy.asks_for_labels), inventory_out)
        record.plan, record.plan_file = document, out
        record.exit_code = exit_by(cmd, document['exitReason'], NOT_ALL_READ, detailed_exit_code)
    return document


def _say_excess(decision: Decision, policy: Policy, given: LimitOptions) -> None:
    """Warn of a plan that no command will carry out."""
    from ..decide.decision import first_excess
    from ..policy.rules import Limits

    percent = policy.limits.percent if given.max_percent is None else given.max_percent
    excess = first_excess(decision, Limits(given.max_deletions, policy.limits.manifests, percent))
    if excess:
        logger.warning('The plan is over a limit and will not be carried out: %s.', excess)


def explain(cmd: Command, images: list[ImageName], policy_file: str | None = None, **kwargs: object) -> Document:
    """The whole decision for one image."""
    from ..documents.explain import explain as explained

    options = SelectOptions.of(kwargs, policy_file)
    registry = RegistryOptions.of({**kwargs, 'policy_file': policy_file})
    policy = policy_of_options(options, registry.sign_in.registry_name)
    with open_session(cmd, registry) as session:
        decision = decide_by_rules(session, policy, options)
        document = explained(
            decision, images[0], session.now, unsettled_of(session, settling_of_named(session, say=False))
        )
    cmd.cli_ctx.output.say_below(document['explanation'])
    return document
