"""What a rule of code says of a few lines: its examples of the catalogue, in all their ways."""

from pathlib import Path

from healthy import HEALTHY
from source import application, looked

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.reporting import examination

IN_PYTHON = "from kiqdoctor import job, Job\n"
IN_RUBY = "class J\n  include Sidekiq::Job\n  def perform(x)\n{body}  end\nend\n"


def judged(check: str, root: Path, **written: str) -> Result:
    """The result on an application of these files (`source.application`)."""
    return diagnose(check, looked(application(root, **written), HEALTHY.with_(Packages())))


def in_python(check: str, root: Path, text: str, **beside: str) -> Result:
    """On one module."""
    return judged(check, root, shop_DOT_py=IN_PYTHON + text, **beside)


def in_ruby(check: str, root: Path, text: str, **beside: str) -> Result:
    """On one file."""
    return judged(check, root, app__jobs__j_DOT_rb=text, **beside)


def performing(*lines: str, head: str = "") -> str:
    """A job in Ruby that does this."""
    return head + IN_RUBY.format(body="".join(f"    {line}\n" for line in lines))


def accused(result: Result) -> bool:
    """Whether there is a finding; what is neither a finding nor a pass raises."""
    assert result.outcome in {Outcome.FAIL, Outcome.PASS}, (result.outcome, result.reason)
    return result.outcome is Outcome.FAIL


def read(check: str, root: Path, files: dict[str, str]) -> Result:
    """The result on these files, as `--static` gives it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    [one] = examination(Asked(root, static=True, select=(check,))).results
    return one
