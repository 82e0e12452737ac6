"""`native`: the inventory as a table and as a document."""

import json
import os
import sys
from pathlib import Path

from examining import Doctor
from trees import tree


def environment(root: Path, *, loads: bool) -> Path:
    """An environment with one extension: this interpreter's own, or text under its name."""
    site = root / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    files = {
        "pyvenv.cfg": f"home = {Path(sys.executable).resolve().parent}\n",
        f"{site.relative_to(root)}/shop-1.0.dist-info/RECORD": "shop.abi3.so,,\nshop-1.0.dist-info/RECORD,,\n",
        f"{site.relative_to(root)}/shop-1.0.dist-info/METADATA": "Name: shop\nVersion: 1.0\n",
    }
    tree(root, files)
    (root / "bin").mkdir()
    (root / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    library = Path(os.path.realpath(sys.executable)).read_bytes() if loads else b"no ELF at all"
    (site / "shop.abi3.so").write_bytes(library)
    return root


def test_what_loads(doctor: Doctor, tmp_path: Path) -> None:
    ran = doctor("native", "--python", str(environment(tmp_path / "env", loads=True)), "--format", "json")
    document = json.loads(ran.out)

    assert (ran.status, document["schema"]) == (0, "kiqdoctor.native/1")
    [package] = document["packages"]
    assert (package["name"], package["version"], package["language"]) == ("shop", "1.0", "python")
    assert (package["files"][0]["path"], package["files"][0]["abi"]) == ("shop.abi3.so", "abi3")
    assert package["files"][0]["missing"] == []
    assert package["free_threading"] is None


def test_what_does_not(doctor: Doctor, tmp_path: Path) -> None:
    where = environment(tmp_path / "env", loads=False)

    assert doctor("native", "--python", str(where), "--format", "json").status == 1
    ran = doctor("native", "--python", str(where))
    assert ran.status == 1
    assert "cannot load: shop.abi3.so" in ran.out


def test_a_lock_file_alone_tells_no_linkage(doctor: Doctor) -> None:
    doctor.write("GEM\n  specs:\n    nokogiri (1.16.0)\n\nDEPENDENCIES\n  nokogiri\n", "Gemfile.lock")

    ran = doctor("native", "--format", "json")
    assert ran.status == 0
    assert "a lock file alone" in json.loads(ran.out)["not_examined"][0]


def test_nothing_at_all(doctor: Doctor) -> None:
    assert doctor("native").status == 0
    assert doctor("native", "nowhere").status == 2
