"""The numbers of a run in Prometheus' text format, version 0.0.4, for the textfile collector of node_exporter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..spelling import visible
from .ended_run import EndedRun

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


@dataclass(frozen=True)
class _Metric:
    """A gauge: its name without the prefix, what it tells, and its samples."""

    name: str
    told: str
    samples: list[Sample]


def metrics_text(run: EndedRun) -> str:
    """All gauges of a run. What is not known is left out: a run that failed before its plan has no candidates."""
    own = {'registry': run.registry, 'command': run.command}
    metrics = [*_planned(run), *_done(run), *_how(run)]
    return ''.join(f'{line}\n' for metric in metrics for line in _lines(metric, own))


def _planned(run: EndedRun) -> Iterator[_Metric]:
    if run.plan is None:
        return
    summary, kind = run.plan['summary'], run.plan['impact']
    going: list[Sample] = [
        ({'kind': 'manifest'}, summary['manifestsToDelete']),
        ({'kind': 'tag'}, summary['tagsToDelete']),
    ]
    kept: list[Sample] = [({'reason': reason}, number) for reason, number in summary['keptByReason'].items()]
    yield _Metric('candidates', 'Manifests and tags that the plan takes.', going)
    yield _Metric('candidate_bytes', 'Bytes that the plan frees.', [({'impact': kind}, summary['freedBytes'])])
    yield _Metric('registry_bytes', 'Bytes of all layers and manifests that were read.', _known(summary))
    yield _Metric('kept_manifests', 'Manifests that stay, by the reason.', kept)
    yield _Metric('warnings', 'Warnings of the plan.', [({}, len(run.plan['warnings']))])


def _known(summary: Mapping[str, float | None]) -> list[Sample]:
    size = summary['registryBytes']
    return [] if size is None else [({}, size)]


def _done(run: EndedRun) -> Iterator[_Metric]:
    """What was deleted: nothing by a plan, a dry run, or a run that an error ended before it began to delete."""
    summary = run.result['summary'] if run.result else {}
    deleted: list[Sample] = [
        ({'kind': 'manifest'}, summary.get('manifestsDeleted', 0)),
        ({'kind': 'tag'}, summary.get('tagsDeleted', 0)),
    ]
    freed: Sample = ({'impact': summary.get('impact', 'exact')}, summary.get('freedBytes', 0))
    yield _Metric('deleted', 'Manifests and tags that were deleted.', deleted)
    yield _Metric('freed_bytes', 'Bytes that were freed.', [freed])
    for name, told in (('skipped', 'that changed since, and were left alone'), ('failed', 'that could not be deleted')):
        yield _Metric(name, f'Manifests and tags {told}.', [({}, summary.get(name, 0))])


def _how(run: EndedRun) -> Iterator[_Metric]:
    for name, told, value in (
        ('interrupted', '1 if somebody interrupted the run.', int(run.interrupted)),
        ('seconds', 'How long the run took.', round(run.seconds, 3)),
        ('calls', 'Requests that were sent to the registry.', run.calls),
        ('calls_refused', 'Requests that the registry answered with 429.', run.refused),
        ('last_run_timestamp_seconds', 'When the run ended, in seconds since 1970.', round(run.ended_at, 3)),
        ('exit_code', 'The exit code of the run.', run.exit_code),
    ):
        yield _Metric(name, told, [({}, value)])


def _lines(metric: _Metric, own: Labels) -> Iterator[str]:
    if not metric.samples:
        return
    name = f'acrprune_{metric.name}'
    yield f'# HELP {name} {metric.told}'
    yield f'# TYPE {name} gauge'
    for labels, value in metric.samples:
        shown = ','.join(f'{label}="{_escaped(text)}"' for label, text in {**own, **labels}.items())
        yield f'{name}{{{shown}}} {value}'


def _escaped(text: str) -> str:
    """A label value; what cannot be printed, a line break too, is spelled out before."""
    return visible(text).replace('\\', '\\\\').replace('"', '\\"')
