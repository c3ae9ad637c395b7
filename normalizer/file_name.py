"""Names of files, as they may be shown and saved under: never a path, whatever the sender wrote."""

from __future__ import annotations

import re

from normalizer.clean import single_line

#: Bytes of UTF-8 that the usual file systems take (ext4, APFS, NTFS in UTF-16 units).
LONGEST = 255
#: Of these an extension is at most so long; a longer one is none.
_EXTENSION = 32
#: Characters looked at: a sender may write a megabyte.
_LOOKED_AT = 4096
#: What Windows takes in no name ("Naming Files, Paths, and Namespaces"); the slashes are gone before.
_UNSAFE = re.compile(r'[<>:"|?*]')
#: Names that Windows takes for a device, with any extension (the same page).
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?=\.|$)", re.IGNORECASE)
#: What NFKC would make a slash or a dot of.
_SLASHES = re.compile(r"[/\\\u2044\u2215\u29f8\uff0f\uff3c]")


def shown_name(name: str | None) -> str | None:
    """The last step of what could be a path, without controls of any kind; None when nothing is left.

    At most 255 bytes of UTF-8; the extension stays. Idempotent.
    """
    last = _SLASHES.split(single_line((name or "")[:_LOOKED_AT]))[-1]
    plain = _UNSAFE.sub("_", last).strip(". ")
    return _cut(f"_{plain}" if _DEVICE.match(plain) else plain) or None


def _cut(name: str) -> str:
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, extension = name.rpartition(".")
    end = f"{dot}{extension}".encode() if stem and len(extension.encode()) <= _EXTENSION else b""
    head = (stem if end else name).encode()[: LONGEST - len(end)]
    return (head.decode(errors="ignore").rstrip(". ") + end.decode()).strip(". ")
