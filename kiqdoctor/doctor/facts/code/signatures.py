"""How jobs may be called, to be compared with what lies in their payloads."""

from kiqdoctor.doctor.facts.code.sites import Sites
from kiqdoctor.doctor.facts.code.table import Site


class Signature(Site, frozen=True, omit_defaults=True, gc=False):
    """What a job takes, where its source tells it. ``names``: what payloads may call it.

    ``placed``: parameters by place, of which ``least`` are needed; ``rest``: any number more. ``required`` and
    ``optional``: by name alone; ``others``: any name more. ``nameable``: what has a place may come by name, too.
    """

    names: tuple[str, ...]
    placed: tuple[str, ...] = ()
    least: int = 0
    rest: bool = False
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    others: bool = False
    nameable: bool = False

    def refusal(self, given: int, named: tuple[str, ...]) -> str:
        """Why so many arguments by place, and these by name, do not fit; "" where they do."""
        if given > len(self.placed) and not self.rest:
            return f"it takes {self._takes} by place and is handed {given}"
        by_name = set(named) & set(self.placed) if self.nameable else set()
        lacking = [name for name in self.placed[given : self.least] if name not in by_name] if self.nameable else []
        if lacking or (given < self.least and not self.nameable):
            return f"it needs {self._takes} by place and is handed {given}" + f", without {', '.join(lacking)}" * bool(
                lacking
            )
        if missing := [name for name in self.required if name not in named]:
            return f"it needs {', '.join(missing)} by name"
        if twice := sorted(by_name & set(self.placed[:given])):
            return f"it is handed {', '.join(twice)} twice"
        known = by_name | {*self.required, *self.optional}
        strange = [name for name in named if name not in known]
        return "" if self.others or not strange else f"it knows no {', '.join(strange)}"

    @property
    def _takes(self) -> str:
        most = len(self.placed)
        return f"{self.least} or more" if self.rest else str(most) if most == self.least else f"{self.least} to {most}"


class Signatures(Sites[Signature]):
    """Of all jobs whose source tells it, and whose payloads are Sidekiq's."""

    __slots__ = ()
