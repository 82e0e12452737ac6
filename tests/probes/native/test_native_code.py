"""Native files: real ones from this interpreter's own environment, and broken ones."""

import os
import shutil
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import pytest

from kiqdoctor.doctor.facts.native import NativeCode
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.doctor.snapshot import Absent
from kiqdoctor.doctor.tools import Application
from kiqdoctor.probes.native.elf import BeyondError, ElfError, read
from kiqdoctor.probes.native.loader import Loader
from kiqdoctor.probes.native.native_code import native_code

TAG = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None and "CI" not in os.environ, reason="no gcc on PATH")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIRTUAL_ENV", "GEM_HOME", "GEM_PATH", "BUNDLE_PATH"):
        monkeypatch.delenv(name, raising=False)


def compiled(folder: Path, name: str, *words: str) -> Path:
    """A shared object of one empty function."""
    folder.mkdir(parents=True, exist_ok=True)
    code = folder / f"{name}.c"
    code.write_text("int f(void) { return 1; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / name, code, *words], check=True)
    code.unlink()
    return folder / name


def distribution(root: Path, *files: str) -> Path:
    """An environment with one installed distribution; the site-packages folder."""
    site = root / ".venv" / SITE
    info = site / "pack-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in ("pack/__init__.py", *files)))
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_17_x86_64\n")
    (info / "METADATA").write_text("Name: pack\n")
    return site


def inventory(root: Path) -> NativeCode:
    found: NativeCode = native_code.read(Application(root), Absent("no lock"))
    return found


@needs_gcc
def test_what_a_real_file_needs(tmp_path: Path) -> None:
    library = compiled(tmp_path, "libown.so.1", "-Wl,-soname,libown.so.1")
    user = compiled(tmp_path, "user.so", "-Wl,--no-as-needed", str(library), "-Wl,-rpath,$ORIGIN")

    assert read(library).soname == "libown.so.1"
    assert "libown.so.1" in read(user).needed
    assert read(user).machine == os.uname().machine
    assert Loader().missing(read(user), tmp_path) == ()
    library.unlink()
    assert Loader().missing(read(user), tmp_path) == ("libown.so.1",)


@needs_gcc
def test_a_healthy_distribution_and_one_without_its_library(tmp_path: Path) -> None:
    name = f"pack/_x.{TAG}-x86_64-linux-gnu.so"
    site = distribution(tmp_path, name)
    library = compiled(tmp_path, "libown.so.1", "-Wl,-soname,libown.so.1")
    compiled(site / "pack", Path(name).name, "-Wl,--no-as-needed", str(library), "-Wl,-rpath,$ORIGIN/../pack.libs")
    (site / "pack.libs").mkdir()
    shutil.move(library, site / "pack.libs/libown.so.1")

    [extension] = inventory(tmp_path).extensions
    assert (extension.missing, extension.problem, extension.abi_tag) == ((), "", TAG)

    shutil.rmtree(site / "pack.libs")
    [extension] = inventory(tmp_path).extensions
    assert extension.missing == ("libown.so.1",)


@needs_gcc
def test_another_interpreter_s_and_another_machine_s(tmp_path: Path) -> None:
    site = distribution(tmp_path, "pack/_x.cpython-38-x86_64-linux-gnu.so", "pack/_y.abi3.so")
    compiled(site / "pack", "_x.cpython-38-x86_64-linux-gnu.so")
    other = compiled(site / "pack", "_y.abi3.so")
    raw = bytearray(other.read_bytes())
    raw[18] = 183 if raw[18] != 183 else 62
    other.write_bytes(raw)

    by_name = {Path(one.path).name: one.problem for one in inventory(tmp_path).extensions}

    assert by_name["_x.cpython-38-x86_64-linux-gnu.so"].startswith("built for cpython-38, the environment is cpython-")
    assert by_name["_y.abi3.so"].startswith("built for ")


@pytest.mark.parametrize("content", [b"", b"text", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 200])
def test_broken_files_are_told(tmp_path: Path, content: bytes) -> None:
    site = distribution(tmp_path, "pack/_x.so")
    (site / "pack").mkdir()
    (site / "pack/_x.so").write_bytes(content)

    with pytest.raises(ElfError):
        read(site / "pack/_x.so")
    [extension] = inventory(tmp_path).extensions
    assert extension.problem


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    site = distribution(tmp_path, "pack/_x.so", "pack/_y.so")
    (site / "pack").mkdir()
    os.mkfifo(site / "pack/_x.so")
    (site / "pack/_y.so").symlink_to("/dev/zero")

    assert inventory(tmp_path).unreadable == (
        ("pack/_x.so", "it is a FIFO, no regular file"),
        ("pack/_y.so", "it is a device, no regular file"),
    )


def test_a_record_that_is_a_fifo_or_names_what_is_not_the_environment_s(tmp_path: Path) -> None:
    site = distribution(tmp_path, "../../../../outside.so", "/etc/outside.so", "pack/also.so.txt")
    (tmp_path / "outside.so").write_bytes(b"no ELF")
    broken = site / "other-1.0.dist-info"
    broken.mkdir()
    os.mkfifo(broken / "RECORD")

    found = inventory(tmp_path)

    assert found.extensions == ()
    assert found.unreadable == (("other-1.0.dist-info", "its RECORD cannot be read: it is a FIFO, no regular file"),)


def test_what_record_names_and_is_not_there(tmp_path: Path) -> None:
    distribution(tmp_path, "pack/_x.so")

    assert "not there" in inventory(tmp_path).extensions[0].problem


def test_every_byte_of_a_real_file_may_be_wrong(tmp_path: Path) -> None:
    source = next(Path(sysconfig.get_path("stdlib")).joinpath("lib-dynload").glob("*.so"), None)
    if source is None:
        pytest.skip("this interpreter's standard library has no shared objects")
    raw = source.read_bytes()[:4096]
    for position in range(0, 600, 3):
        broken = bytearray(raw)
        broken[position % len(broken)] ^= 0xFF
        (tmp_path / "x.so").write_bytes(broken)
        with suppress(ElfError, BeyondError):
            read(tmp_path / "x.so")


def test_this_environment_can_be_read_and_nothing_of_it_is_broken() -> None:
    if sys.prefix == sys.base_prefix:
        pytest.skip("not run in a virtual environment")
    found = native_code.read(Application(Path("/nowhere"), Path(sys.prefix)), Absent("no lock"))

    assert found.extensions
    assert [one for one in found.extensions if one.problem or one.missing] == []


def test_gems_of_a_lock_file_alone(tmp_path: Path) -> None:
    gems = Packages(
        (Package("ruby", "nokogiri", "1.16.0", "Gemfile.lock"), Package("ruby", "rack", "3.0", "Gemfile.lock"))
    )

    found = native_code.read(Application(tmp_path), gems)

    assert found.lock_only == ("nokogiri 1.16.0",)


@pytest.mark.parametrize("name", ["x" * 300, "*", "../../../../outside", "a/b", "\0"])
def test_a_gem_whose_name_is_none_has_no_folder(tmp_path: Path, name: str) -> None:
    """Its lock file may name what leads elsewhere, or what no file system takes."""
    home = tmp_path / "vendor/bundle/ruby/3.1.0"
    for folder in (home / "extensions/x/3/any-1", home / "gems/outside-1/lib", tmp_path / "outside-1/lib"):
        folder.mkdir(parents=True)
        (folder / "any.so").write_bytes(b"broken")

    found = native_code.read(
        Application(tmp_path), Packages((Package("ruby", name, "1", "Gemfile.lock", platform="x"),))
    )

    assert found.extensions == ()


def test_an_installed_gem(tmp_path: Path) -> None:
    gems = Packages((Package("ruby", "nokogiri", "1.16.0", "Gemfile.lock"),))
    folder = tmp_path / "vendor/bundle/ruby/3.1.0/extensions/x86_64-linux/3.1.0/nokogiri-1.16.0"
    folder.mkdir(parents=True)
    (folder / "nokogiri.so").write_bytes(b"broken")

    found = native_code.read(Application(tmp_path), gems)

    assert found.lock_only == ()
    assert found.extensions[0].problem == "it is no ELF file"


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(AbsenceError):
        inventory(tmp_path)
