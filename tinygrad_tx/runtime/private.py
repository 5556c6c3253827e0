"""Whether a folder is its user's alone: what is loaded from it runs, so nobody else may write it.

The rule is that of OpenSSH for its key files. Systems without user numbers (Windows) are not asked:
there a user's profile is closed to others by its access list.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

try:
    import grp
    import pwd
except ImportError:  # no user numbers on this system
    grp = pwd = None  # type: ignore[assignment]  # absent, and asked for below

__all__ = ["is_ours", "make_private", "why_not_private"]

MOST_LINKS = 40
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_private(folder: Path) -> None:
    """Makes the folder and missing parents for this user alone, whatever the umask.

    One of ours that others could write is closed and emptied: any of it may be theirs.
    Errors: OSError.
    """
    for path in [*reversed(folder.parents), folder]:
        if not path.is_dir():
            path.mkdir(0o700, exist_ok=True)
    found = folder.stat()
    if not hasattr(os, "getuid") or found.st_uid != os.getuid() or not found.st_mode & 0o077:
        return
    folder.chmod(0o700)
    if found.st_mode & OTHERS_WRITE:
        for path in folder.iterdir():
            # A folder in it is never read, and what others hold open there does no harm.
            if path.is_symlink() or not path.is_dir():
                path.unlink(missing_ok=True)


def why_not_private(folder: Path) -> str:
    """Why others could put files into the folder, or another folder in its place; "" if nobody can.

    Every folder on the way, and every link that is followed, belongs to this user or to root, and
    nobody else may write there but in a folder like /tmp, where only owners move what is theirs.
    Errors: OSError.
    """
    if not hasattr(os, "getuid"):
        return ""
    for path in _way_to(folder.absolute()):
        found = path.lstat()
        if found.st_uid not in (0, os.getuid()):
            return f"{path} belongs to user {found.st_uid}, not to {os.getuid()}"
        is_sticky = found.st_mode & stat.S_ISVTX and path != folder
        if not stat.S_ISLNK(found.st_mode) and not is_sticky and _others_write(found):
            return f"others may write {path} (mode {stat.S_IMODE(found.st_mode):o})"
    return ""


def is_ours(file: os.stat_result) -> bool:
    """Whether an open file is a plain one that only this user, or root, may have written."""
    if not hasattr(os, "getuid"):
        return stat.S_ISREG(file.st_mode)
    is_owner = file.st_uid in (0, os.getuid())
    return is_owner and stat.S_ISREG(file.st_mode) and not file.st_mode & OTHERS_WRITE


def _way_to(path: Path) -> Iterator[Path]:
    """Every folder and link that is passed on the way to `path`, itself included."""
    here, rest, links = Path(path.anchor), list(path.parts[1:]), 0
    yield here
    while rest:
        part = rest.pop(0)
        if part == "..":
            here = here.parent
            continue
        here = here / part
        yield here
        if here.is_symlink():
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, "too many links", str(path))
            target = Path(os.readlink(here))
            here = Path(target.anchor) if target.is_absolute() else here.parent
            rest = [*target.parts[target.is_absolute() :], *rest]


def _others_write(found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_own_group(found.st_gid)


def _is_own_group(number: int) -> bool:
    """Whether the group is that of this user alone, as Debian and Fedora give one to each."""
    try:
        group, user = grp.getgrgid(number), pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    alone = set(group.gr_mem) <= {user.pw_name}
    return alone and number == user.pw_gid and group.gr_name == user.pw_name
