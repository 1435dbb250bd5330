"""Stands between the launcher and each of its programs: becomes the program, but first ties it to the launcher's life.

Run as `python leash.py PARENT SIGNAL UID:GID:CAPABILITY|- PROGRAM ARGUMENT…`; standard library only, no import of ours, so
that it starts in 15 ms. It is a program and not a function called between fork and exec, because that is unsafe as soon as
the launching process has a second thread, as a test runner has.
"""

import ctypes
import os
import signal
import sys

# Numbers of linux/prctl.h, linux/securebits.h and linux/capability.h.
PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 4
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def main() -> None:
    """Becomes the program."""
    parent, number, account, *argv = sys.argv[1:]
    try:
        if account != "-":
            _become_or_exit(argv[0], *map(int, account.split(":")))
        die_with(int(parent), int(number))  # a change of account clears it, so it comes last
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python's choice, which the program would inherit
            signal.signal(ignored, signal.SIG_DFL)
        os.execv(argv[0], argv)
    except OSError as error:
        sys.exit(f"{argv[0]} cannot be started: {error.strerror}")


def become(uid: int, gid: int, capability: int) -> None:
    """Gives up root for good, but for one capability (-1: none), which the program keeps."""
    if capability >= 0:
        # Without this, setuid() drops the capability, and access(2) ignores it: initdb looks for its files with that.
        _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if capability >= 0:
        _keep_only(capability)


def die_with(parent: int, number: int) -> None:
    """From now on this process gets the signal when its parent's thread ends, however that happens."""
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before we could ask
        os.kill(os.getpid(), signal.SIGKILL)


def _become_or_exit(program: str, uid: int, gid: int, capability: int) -> None:
    try:
        become(uid, gid, capability)
    except OSError as error:
        sys.exit(
            f"error: {program} must not run as root, and root may not become another here ({error}); run as a user"
        )


def _keep_only(capability: int) -> None:
    bit = 1 << capability
    sets = (_Sets * 2)(_Sets(bit, bit, bit), _Sets(0, 0, 0))
    _checked(_libc.capset(ctypes.byref(_Header(CAPABILITY_VERSION_3, 0)), sets))
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)  # ambient: it survives the exec


def _prctl(option: int, first: int, second: int = 0) -> None:
    _checked(_libc.prctl(option, first, second, 0, 0))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
