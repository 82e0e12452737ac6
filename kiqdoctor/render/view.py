"""How a report is looked at: all that a format may be told beside the report itself."""

from enum import StrEnum
from typing import Final

from kiqdoctor.records import dataclass
from kiqdoctor.render.ground import HERE, Ground


class Profile(StrEnum):
    """Who a log for code scanning is for."""

    FINDINGS = "findings"
    GITHUB = "github"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class View:
    """``verbose``: what passed and what does not apply too; ``ground``: where a finding's file lies for its reader.

    ``width``: columns that a line of text may fill; 0 where nobody looks at it on a screen.
    """

    colour: bool = False
    verbose: bool = False
    ground: Ground = HERE
    profile: Profile = Profile.FINDINGS
    width: int = 0


PLAIN: Final = View()
