"""What ``state:`` and ``result:`` compare a project with: a saved state, a committed one, the last run.

In: where the other state is (``DIR`` with a manifest.json, or ``git:REF``). Out: which models differ from it.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from runner.checksum import checksum
from runner.errors import ProjectError, fail
from runner.last_run import FILE as RESULTS_FILE
from runner.last_run import last_run
from runner.lineage import compile_project
from runner.load import read_project
from runner.manifest_file import FILE
from runner.spec import Project

_GIT = "git:"


def states(
    project: Project, state: str | None, *, target: str | None, overrides: Mapping[str, object]
) -> Mapping[str, str]:
    """Model id → modified, new or unmodified."""
    if state is None:
        raise fail(
            "no-state",
            None,
            "`state:` has nothing to compare with",
            why="a model is modified against a saved manifest.json, or against a commit",
            fix="write `--state git:main`, or `--state DIR` with a manifest.json of `runner compile`",
        )
    if state.startswith(_GIT):
        before = _of_commit(project.root, state.removeprefix(_GIT), target, overrides)
    else:
        before = _saved(Path(state))
    now = _checksums(project)
    return {
        id: "new" if id not in before else "unmodified" if before[id] == found else "modified"
        for id, found in now.items()
    }


def results(project: Project, state: str | None) -> Mapping[str, Collection[str]]:
    """Model id → how the last run left it: the run that ``DIR`` keeps, or the project's own."""
    saved = Path(state) if state and not state.startswith(_GIT) else None
    folder = saved if saved and (saved / RESULTS_FILE).exists() else project.root / "target"
    return last_run(folder).ends


def _checksums(project: Project) -> dict[str, str]:
    """The checksums of all models; of one that does not compile, a word that equals no other."""
    try:
        rendered = compile_project(project)
        return {m.id: checksum(m, rendered[m.id]) for m in project.models}
    except ProjectError:
        pass
    found = {}
    for model in project.models:
        try:
            found[model.id] = checksum(model, compile_project(project, [model])[model.id])
        except ProjectError:
            found[model.id] = f"broken at {project.root}"
    return found


def _saved(given: Path) -> dict[str, str]:
    path = given / FILE if given.is_dir() else given
    try:
        nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]
        return {id.removeprefix("model."): node["checksum"]["checksum"] for id, node in nodes.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise fail(
            "no-manifest",
            None,
            f"--state: {path} {'is not there' if missing else 'is not a manifest of this runner'}",
            why="`runner compile` writes target/manifest.json, which a folder of your choice may keep"
            if missing
            else f"{type(error).__name__}: {error}",
            fix="name the folder that holds manifest.json, or a commit: `--state git:main`",
        ) from None


def _of_commit(
    root: Path, reference: str, target: str | None, overrides: Mapping[str, object]
) -> dict[str, str]:
    """The checksums of the project as a commit has it. What is wrong with it there is passed over."""
    with tempfile.TemporaryDirectory(prefix="state-") as folder:
        _extract(root, reference, Path(folder))
        loaded = read_project(Path(folder), target=target, overrides=overrides)
        sound = [m for m in loaded.project.models if m.id not in loaded.broken]
        found = {}
        for model in sound:
            try:
                found[model.id] = checksum(model, compile_project(loaded.project, [model])[model.id])
            except ProjectError:
                found[model.id] = "broken"
    return found


def _extract(root: Path, reference: str, folder: Path) -> None:
    """The project's files of a commit, below ``folder``. Nothing outside of it is written."""
    # A reference that began with a dash would be an option of git.
    command = ["git", "-C", str(root), "archive", "--format=tar", "--end-of-options", reference]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise _no_commit(reference, "git is not installed") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise _no_commit(reference, said[-1].removeprefix("fatal: ") if said else "git says nothing")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _no_commit(reference: str, why: str) -> ProjectError:
    return fail(
        "no-commit",
        None,
        f"--state: the project of the commit '{reference}' cannot be had",
        why=why,
        fix="name a branch, a tag or a commit of the repository that holds the project: `--state git:main`",
    )
