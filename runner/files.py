"""Which input files are there, which are new: a listing of ours, and the manifest of those consumed.

Spark's own file source skips hidden, old and changed files without a word; this listing does not.
A manifest is immutable and named by its content; the commit that consumed the files names it.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.errors import Fault, Place, ProjectError, fail

_CHUNK = 1 << 20


@dataclass(frozen=True, order=True)
class InputFile:
    """A file as it was listed. ``modified_ms`` orders arrivals, then ``path`` (absolute)."""

    modified_ms: int
    path: str
    size: int


@dataclass(frozen=True)
class Consumed:
    """A file as it was consumed: ``sha256`` tells a changed file from a touched one."""

    path: str
    size: int
    modified_ms: int
    sha256: str


@dataclass(frozen=True)
class Listing:
    """What the path names now: files in order of arrival, and the hidden ones passed over."""

    files: tuple[InputFile, ...]
    hidden: tuple[str, ...] = ()  # files, and folders with all that is in them


def list_files(path: str, *, root: Path, place: Place) -> Listing:
    """The files that ``path`` (a file, a glob or a folder, relative to ``root``) names.

    A folder is read with its subfolders; names that begin with ``.`` or ``_`` in it, and links to other
    folders, are passed over and reported, while a file that is named outright is always read.
    ProjectError when nothing is there, or when something there cannot be read.
    """
    try:
        return _list(path, os.path.join(root, os.path.expanduser(path)), place)
    except OSError as error:
        raise fail(
            "input-unreadable",
            place,
            f"'{error.filename}' cannot be read: {error.strerror}",
            why="a file that is passed over without a word would be missing in the table",
            fix="allow reading it, or remove it",
        ) from error


def _list(path: str, full: str, place: Place) -> Listing:
    hidden: list[str] = []
    if os.path.isfile(full):
        found = [full]
    elif os.path.isdir(full):
        found = list(_walk(full, hidden))
    elif glob.has_magic(full):
        found = [name for name in glob.glob(full, recursive=True) if os.path.isfile(name)]
    else:
        raise fail(
            "input-not-found",
            place,
            f"there is no file or folder '{path}'",
            why=f"the input's path leads to {os.path.abspath(full)}",
            fix="correct the path; for the shipped project: --vars 'events: FILE_OR_FOLDER' or `make events`",
        )
    # A pattern such as `a/**/**` finds a file more than once.
    files = sorted({_stat(name) for name in found})
    return Listing(tuple(files), tuple(sorted(hidden)))


def _walk(folder: str, hidden: list[str]) -> Iterable[str]:
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        for name in list(folders):
            if name.startswith((".", "_")) or os.path.islink(os.path.join(parent, name)):
                hidden.append(os.path.join(parent, name))
                folders.remove(name)
        for name in names:
            if name.startswith((".", "_")):
                hidden.append(os.path.join(parent, name))
            else:
                yield os.path.join(parent, name)


def _refuse(error: OSError) -> None:
    raise error


def _stat(name: str) -> InputFile:
    # Not resolved through links: a name is a file's identity, as it is in the manifest.
    path = os.path.abspath(name)
    stat = os.stat(path)
    return InputFile(stat.st_mtime_ns // 1_000_000, path, stat.st_size)


def digest(path: str) -> str:
    """SHA-256 of a file's bytes, hex."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def content_digest(files: Sequence[InputFile]) -> str:
    """One digest over the contents of ``files``, for inputs that are read whole."""
    sha = hashlib.sha256()
    for file in sorted(files, key=lambda f: f.path):
        sha.update(digest(file.path).encode())
    return sha.hexdigest()


def consume(files: Sequence[InputFile]) -> tuple[Consumed, ...]:
    """The files with their checksums, as they are about to be read."""
    return tuple(Consumed(f.path, f.size, f.modified_ms, digest(f.path)) for f in files)


def unconsumed(listing: Listing, consumed: Mapping[str, Consumed], place: Place) -> tuple[InputFile, ...]:
    """Files that are not consumed yet, in order of arrival.

    ProjectError where a consumed file's content changed: its rows are in the table already, and
    reading the file again would be a guess.
    """
    fresh: list[InputFile] = []
    faults: list[Fault] = []
    for file in listing.files:
        known = consumed.get(file.path)
        if known is None:
            fresh.append(file)
        elif (known.size, known.modified_ms) != (file.size, file.modified_ms) and (
            known.size != file.size or known.sha256 != digest(file.path)
        ):
            faults.append(_changed(file, known, place))
    if faults:
        raise ProjectError(tuple(faults))
    return tuple(fresh)


def _changed(file: InputFile, known: Consumed, place: Place) -> Fault:
    return Fault(
        "consumed-file-changed",
        place,
        f"'{file.path}' was consumed with {known.size:,} bytes and now has {file.size:,} with other content",
        "a file is read once; its old rows are in the table, and which of the new ones are new is unknown",
        "put the old content back, and new events into a file of their own",
    )


class ManifestStore:
    """Immutable manifests under a folder, named by the SHA-256 of their content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> dict[str, Consumed]:
        """The consumed files of a manifest by path."""
        with open(self.folder / name, encoding="utf-8", errors="surrogatepass") as file:
            return {entry["path"]: Consumed(**entry) for entry in json.load(file)["files"]}

    def write(self, consumed: Iterable[Consumed]) -> str:
        """Write the manifest of these files, if it is not there; its name."""
        entries = sorted((asdict(entry) for entry in consumed), key=lambda e: str(e["path"]))
        text = json.dumps({"files": entries}, ensure_ascii=False, indent=0)
        name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() + ".json"
        path = self.folder / name
        if path.exists():
            os.utime(path)  # maintenance takes old ones that no commit names: this one is about to be named
        else:
            write_atomically(path, text)
        return name

    def remove_unnamed(self, named: Collection[str], older_than: float) -> int:
        """Remove manifests that are not ``named`` and older than a time (seconds of the epoch); how many."""
        found = [
            path
            for path in (self.folder.iterdir() if self.folder.is_dir() else ())
            if path.name not in named and path.stat().st_mtime < older_than
        ]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file or none: a reader and a crash see the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8", errors="surrogatepass") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
