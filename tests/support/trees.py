"""Applications as files: a tree of them, and what its deployment files come to."""

from collections.abc import Mapping
from pathlib import Path

from kiqdoctor.doctor.facts.deployment import Deployment, Start
from kiqdoctor.probes.deployment.deployment import deployment
from kiqdoctor.probes.deployment.starts import starts
from kiqdoctor.probes.tree.tree import Tree


def tree(root: Path, files: Mapping[str, str]) -> Tree:
    """These files, by path, and the tree of them."""
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return Tree(root)


def deployed(root: Path, files: Mapping[str, str]) -> Deployment:
    """What these files ask for; raises ``AbsenceError`` where they ask for nothing."""
    found: Deployment = deployment.read(tree(root, files))
    return found


def started(root: Path, files: Mapping[str, str]) -> tuple[Start, ...]:
    """How what they start is started."""
    found: tuple[Start, ...] = starts.read(tree(root, files)).all
    return found
