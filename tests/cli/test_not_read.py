"""What of the application was not followed is said, with its reason and without its content."""

import os

from examining import Doctor


def test_links_out_fifos_and_sizes_are_named(doctor: Doctor) -> None:
    doctor.write("from kiqdoctor import job\n", "shop/jobs.py")
    (doctor.folder / "secret.py").write_text("s3cret = 1\n")
    root = doctor.folder / "shop"
    (root / "out.py").symlink_to("../secret.py")
    (root / ".env").symlink_to("/proc/self/environ")
    os.mkfifo(root / "fifo.py")
    doctor.write("x = 1\n" * 200_000, "shop/large.py")

    ran = doctor("check", "--static", "shop", "--format", "text", S3CRET="s3cret")

    said = " ".join(ran.out.split())
    for path, reason in (
        ("out.py", "a link leads out of the application"),
        (".env", "a link leads out of the application"),
        ("fifo.py", "it is a FIFO, no regular file"),
        ("large.py", "it holds 1200000 bytes, more than 1048576"),
    ):
        assert f"{path}: {reason}" in said
    assert "s3cret" not in ran.out + ran.err


def test_nothing_is_said_where_everything_was_read(doctor: Doctor) -> None:
    doctor.write("from kiqdoctor import job\n", "shop/jobs.py")

    assert "not read of the application" not in doctor("check", "--static", "shop").out


def test_many_are_counted(doctor: Doctor) -> None:
    doctor.write("x = 1\n", "shop/jobs.py")
    for number in range(8):
        (doctor.folder / "shop" / f"{number}\x1b[2J.py").symlink_to("/etc/passwd")

    ran = doctor("check", "--static", "shop")

    assert "and 3 more" in ran.out
    assert "\x1b[2J" not in ran.out
