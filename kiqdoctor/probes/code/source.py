"""The application's source: its jobs, and what they reach, share, change and open before a fork."""

from kiqdoctor.doctor.facts.code import Source, Use
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.probes.tree.tree import Tree

MOST_USES = 50_000


@probe(
    Read("*.py, *.rb, server and process files", "", "parsed, up to 20,000 files of 1 MB"),
    lane=Lane.FILES,
    deadline_s=60.0,
)
def source(tree: Tree) -> Source:
    """The index. Patterns of its uses: import, call, keyword, shared, mutated, before_fork, forks, setting."""
    from kiqdoctor.probes.code import forking, python, ruby
    from kiqdoctor.probes.deployment.derived import derived

    pythons, rubies = python.load(tree), ruby.load(tree)
    python_jobs, ruby_jobs = python.jobs(pythons), ruby.jobs(rubies)
    chains: dict[str, tuple[str, ...]] = {}
    for function, _ in python_jobs:
        chains = {**python.reach(pythons, function), **chains}
    reached = [one for job, _ in ruby_jobs for one in ruby.reach(rubies, job)]
    found = [*python.uses(pythons, chains), *ruby.uses(rubies, reached)]
    forked = list(forking.forks(found, tree.once(derived).starts))
    if any(use.pattern == "forks" for use in forked):
        found += [*python.at_import(pythons), *ruby.at_load(rubies)]
    files = len(pythons.modules) + len(rubies.trees)
    unparsed = (*pythons.unparsed, *rubies.unparsed)
    if not files and not unparsed:
        raise AbsenceError("the application has no Python or Ruby source")
    unique = tuple(dict.fromkeys([*forked, *_ordered(found)]))
    return Source(
        jobs=tuple(job for _, job in (*python_jobs, *ruby_jobs)),
        uses=unique[:MOST_USES],
        files=files,
        unparsed=unparsed,
        partial="" if len(unique) <= MOST_USES else f"{MOST_USES} of {len(unique)} uses were kept",
    )


def _ordered(found: list[Use]) -> list[Use]:
    """What jobs reach comes first, so that no limit cuts it off."""
    return sorted(found, key=lambda use: (not use.chain, use.path, use.line))
