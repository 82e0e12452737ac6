"""Files that are parsed ahead come in order, each with what became of it."""

from pathlib import Path

import pytest
from trees import tree

from kiqdoctor.probes.tree.ahead import ahead
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.file import File


def _length(file: File) -> int:
    if file.name == "b.rb":
        raise UnparsedError("it takes too long")
    if file.name == "c.rb":
        raise ZeroDivisionError
    return len(file.content())


def test_each_in_order_with_what_it_raises(tmp_path: Path) -> None:
    files = tree(tmp_path, {"a.rb": "1", "b.rb": "2", "c.rb": "3", "d.rb": "45"}).files(".rb")

    found = list(ahead(files, _length))

    assert [one.path for one, _ in found] == ["a.rb", "b.rb", "c.rb", "d.rb"]
    assert (found[0][1], found[3][1]) == (1, 2)
    assert isinstance(found[1][1], UnparsedError)
    assert isinstance(found[2][1], ZeroDivisionError)


def test_nothing_is_parsed_where_there_is_nothing() -> None:
    with pytest.raises(StopIteration):
        next(ahead((), _length))
