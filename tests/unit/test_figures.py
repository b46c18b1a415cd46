"""The table of what the random examples did."""

from tests import figures


def test_counts_are_sums_by_file_and_in_all_and_a_failed_test_is_a_violation():
    one = [('acrprune figures', {'examples': 1_000, 'deletes': 3})]
    other = [('acrprune figures', {'examples': 200, 'faults': 7}), ('of another plugin', 'x')]
    lines = [
        line.split()
        for line in figures.table(
            [('a.py', False, one), ('a.py', True, other), ('b.py', False, one), ('c.py', True, ())]
        )
    ]
    rows = {row[0]: dict(zip(lines[0][1:], row[1:])) for row in lines[1:]}
    shown = {
        name: (row['tests'], row['examples'], row['faults'], row['deletes'], row['violations'])
        for name, row in rows.items()
    }
    assert shown == {
        'a.py': ('2', '1,200', '7', '3', '1'),
        'b.py': ('1', '1,000', '0', '3', '0'),
        'all': ('3', '2,200', '7', '6', '1'),
    }


def test_without_counts_there_is_no_table():
    assert list(figures.table([('a.py', False, ())])) == []


def test_passing_examples_of_hypothesis_are_counted_once(monkeypatch):
    monkeypatch.setattr(figures, '_COUNTED', figures.Counter(runs=2))
    told = 'a.py::test:\n\n  - during generate phase (0.10 seconds):\n    - 40 passing examples, 0 failing examples'
    assert figures.take(told) == [('acrprune figures', {'runs': 2, 'examples': 40})]
    assert figures.take(None) == []
