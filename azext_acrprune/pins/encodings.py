"""In which encoding a text is written, as far as it says so itself: editors and shells of Windows write UTF-16."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, 'utf-8'),
    (codecs.BOM_UTF32_LE, 'utf-32-le'),
    (codecs.BOM_UTF32_BE, 'utf-32-be'),
    (codecs.BOM_UTF16_LE, 'utf-16-le'),
    (codecs.BOM_UTF16_BE, 'utf-16-be'),
)
_SAMPLE = 4096


def encoding_of(data: bytes) -> tuple[str, int] | None:
    """(encoding, bytes of the mark at its begin); None where nothing says that it is another one than UTF-8."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding, len(mark)
    unmarked = _without_mark(data[:_SAMPLE])
    return (unmarked, 0) if unmarked else None


def _without_mark(sample: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of plain text is zero there."""
    half = len(sample) // 2
    if half >= 4 and sample[1::2].count(0) > 0.7 * half and not sample[::2].count(0):
        return 'utf-16-le'
    if half >= 4 and sample[::2].count(0) > 0.7 * half and not sample[1::2].count(0):
        return 'utf-16-be'
    return None
