"""Libraries that stand on every stack of Ruby or Python: the interpreter, the C library, who calls by a pointer."""

from typing import Final

from kiqdoctor.regex import regex

_LIBRARIES: Final = regex(
    r"lib(?:ruby|python|c|pthread|m|dl|rt|gcc_s|stdc\+\+|ffi)[-.\d]|ld-linux|linux-vdso|libc\.musl|ld-musl"
)
_PROGRAMS: Final = regex(r"(?:python|ruby)[\d.]*t?d?$")


def own(path: str) -> bool:
    """Whether a crash there says nothing of whose code it was."""
    name = path.rpartition("/")[2]
    return _LIBRARIES.match(name) is not None or _PROGRAMS.match(name) is not None
