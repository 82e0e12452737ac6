"""What is taken from outside: statements, and the first use in each function."""

from pathlib import Path

import pytest
from source import application, lines

from kiqdoctor.doctor.facts.code import Imports

HEAD = "from kiqdoctor import job\n"


def imported(root: Path, **written: str) -> dict[str, tuple[int, bool, bool]]:
    """Each name's line, whether a statement loads it, whether a job leads there; of several what a job leads to."""
    found = [*lines(application(root, **written), Imports)]
    return {site.name: (line, site.statement, bool(chain)) for site, _, line, chain in reversed(found)}


def test_statements_and_uses(tmp_path: Path) -> None:
    body = "  from netCDF4 import Dataset\n  Dataset('x')\n  la.norm(1)\n"
    found = imported(tmp_path, shop_DOT_py=HEAD + "import numpy.linalg as la\n@job\ndef f():\n" + body)

    assert found["numpy.linalg"] == (2, True, False)
    assert found["netCDF4.Dataset"] == (5, True, True)
    assert found["numpy.linalg.norm"] == (7, False, True)


@pytest.mark.parametrize(
    "text",
    [
        "import netCDF4\ndef g(): netCDF4.Dataset('x')\n@job\ndef f(): pass\n",
        "import netCDF4\n@job\ndef f(a=netCDF4.Dataset('x')): pass\n",
        "import netCDF4\n@job\n@netCDF4.wrap\ndef f(): pass\n",
        "import netCDF4\n@job\ndef f(netCDF4): netCDF4.Dataset('x')\n",
        "import netCDF4\n@job\ndef f(): 'netCDF4.Dataset'\n",
    ],
)
def test_what_no_job_touches(tmp_path: Path, text: str) -> None:
    touched = {name for name, (_, _, reached) in imported(tmp_path, shop_DOT_py=HEAD + text).items() if reached}

    assert not any(name.startswith("netCDF4") for name in touched)


def test_under_another_name(tmp_path: Path) -> None:
    found = imported(
        tmp_path,
        tools_DOT_py="import netCDF4 as nc\nopen_it = nc.Dataset\n",
        shop_DOT_py=HEAD + "from tools import open_it\n@job\ndef f(): open_it('x')\n",
    )

    assert found["netCDF4.Dataset"][2]


def test_what_is_the_application_s_own_or_python_s_is_not_taken(tmp_path: Path) -> None:
    text = HEAD + "from tools import go\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import numpy\n"
    found = imported(tmp_path, tools_DOT_py="def go(): len([])\n", shop_DOT_py=text + "@job\ndef f(): go(), print()\n")

    assert found.keys() == {"kiqdoctor.job", "typing.TYPE_CHECKING"}


JOB = "require 'csv'\nclass Resize\n  include Sidekiq::Job\n  def perform(id)\n    {body}\n  end\nend\n"
TOOL = "class ImageTool\n  def run; Magick::Image.read('x'); end\n  def self.go; Magick::Image.read('x'); end\nend\n"


@pytest.mark.parametrize(
    "body",
    [
        "Magick::Image.read('x')",
        "::Magick::Image.read('x')",
        "resize\n  end\n  def resize\n    Magick::Image.read('x')",
        "ImageTool.new(id).run",
        "ImageTool.go",
        "Picture.load",
    ],
)
def test_a_constant_that_a_job_touches(tmp_path: Path, body: str) -> None:
    picture = "class Picture < Magick::Image\nend\n"
    found = imported(tmp_path, job_DOT_rb=JOB.format(body=body), tool_DOT_rb=TOOL, picture_DOT_rb=picture)

    assert any(name.startswith("Magick") and reached for name, (_, _, reached) in found.items())
    assert found["csv"] == (1, True, False)


@pytest.mark.parametrize("body", ["nil", "# Magick::Image", "'Magick::Image'", ":Magick", "%w[Magick]"])
def test_a_constant_that_it_does_not(tmp_path: Path, body: str) -> None:
    found = imported(tmp_path, job_DOT_rb=JOB.format(body=body), tool_DOT_rb=TOOL)

    assert not any(name.startswith("Magick") and reached for name, (_, _, reached) in found.items())
