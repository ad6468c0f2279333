"""Stage 2, the rest: what sqlglot's parse tells of a query before any JVM starts.

In: rendered models and the columns of their inputs. Out: faults: unknown columns and relations,
functions that reach outside, queries that are no function of their rows.
"""

from runner.lineage.project import Checked, check_model, check_sql, compile_project

__all__ = ["Checked", "check_model", "check_sql", "compile_project"]
