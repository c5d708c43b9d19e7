"""What the native module tells a CPython that can do without the interpreter's lock."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

import pytest

from hubpool import _native

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The numbers of the slot that says whether a module needs the lock: to 3.14, and from then on.
_GIL_SLOTS = {4, 87}
_GIL_USED = 0


class _Slot(ctypes.Structure):
    """A slot of a module's definition, to CPython 3.14."""

    _fields_ = (("number", ctypes.c_int), ("value", ctypes.c_size_t))


class _NewSlot(ctypes.Structure):
    """A slot as CPython 3.15 takes it."""

    _fields_ = (
        ("number", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("reserved", ctypes.c_uint32),
        ("value", ctypes.c_size_t),
    )


class _Definition(ctypes.Structure):
    """A module's definition, to CPython 3.14."""

    _fields_ = (
        ("base", ctypes.c_char * (object.__basicsize__ + 3 * ctypes.sizeof(ctypes.c_void_p))),
        ("name", ctypes.c_char_p),
        ("doc", ctypes.c_char_p),
        ("size", ctypes.c_ssize_t),
        ("methods", ctypes.c_void_p),
        ("slots", ctypes.POINTER(_Slot)),
    )


def _slots() -> Iterator[tuple[int, int]]:
    """Yield the slots of the native module's definition, with their values."""
    assert _native.__file__ is not None
    library = ctypes.PyDLL(_native.__file__)
    if sys.version_info >= (3, 15):
        export = library.PyModExport__native
        export.restype = ctypes.POINTER(_NewSlot)
        slots = export()
    else:
        init = library.PyInit__native
        init.restype = ctypes.POINTER(_Definition)
        slots = init().contents.slots
    place = 0
    while slots[place].number:
        yield slots[place].number, slots[place].value
        place += 1


@pytest.mark.skipif(sys.version_info < (3, 13), reason="CPython asks for that from 3.13 on")
def test_the_native_module_says_that_it_needs_the_interpreters_lock() -> None:
    assert [value for number, value in _slots() if number in _GIL_SLOTS] == [_GIL_USED]
