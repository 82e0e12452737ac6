"""COD008: the catalogue's examples in all their ways."""

from pathlib import Path

import pytest
from judging import accused, in_python, in_ruby, performing
from rewriting import crossed, python

FAULTS = crossed(
    {
        "P1": (
            "from concurrent.futures import ProcessPoolExecutor\n@job\ndef f():\n"
            "  with ProcessPoolExecutor() as ex: pass\n"
        ),
        "P2": "import multiprocess as mp\n@job\ndef f(): mp.Pool(2)\n",
        "P2, torch": "import torch.multiprocessing as mp\n@job\ndef f(): mp.Process()\n",
        "P3": (
            "import functools, os\nfrom subprocess import Popen\n@job\ndef f(c):\n"
            "  Popen(c, preexec_fn=functools.partial(os.setpgid, 0, 0))\n"
        ),
        "bare": "import os\n@job\ndef f(): os.fork()\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": "from multiprocessing import get_context\n@job\ndef f():\n  ctx = get_context('spawn'); ctx.Pool(2)\n",
        "N2": "from subprocess import Popen\n@job\ndef f(c): Popen(c, start_new_session=True)\n",
        "N3": (
            "import multiprocessing\n@job\ndef f(): multiprocessing.Pool()\n"
            "if __name__ == '__main__': multiprocessing.set_start_method('spawn')\n"
        ),
        "an executor that spawns": (
            "import multiprocessing as mp\nfrom concurrent.futures import ProcessPoolExecutor\n"
            "@job\ndef f(): ProcessPoolExecutor(mp_context=mp.get_context('spawn'))\n"
        ),
        "one job a process": (
            "import os\nfrom celery import shared_task\n@job\ndef g(): pass\n@shared_task\ndef f(): os.fork()\n"
        ),
    },
    python,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD008", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD008", tmp_path, text))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("fork { x }", True),
        ("Process.fork", True),
        ("Parallel.map(x) { |y| y }", True),
        ("Parallel.map(x, in_threads: 4) { |y| y }", False),
        ("Process.spawn(x)", False),
    ],
)
def test_ruby(tmp_path: Path, line: str, fault: bool) -> None:
    assert accused(in_ruby("COD008", tmp_path, performing(line))) is fault
