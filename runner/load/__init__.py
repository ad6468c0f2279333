"""Stage 1: the files of a project → :class:`runner.spec.Project`, strictly, with all faults at once."""

from runner.load.project import Loaded, in_order, load_project, read_project

__all__ = ["Loaded", "in_order", "load_project", "read_project"]
