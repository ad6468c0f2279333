"""What is known of Spark's functions, as tables: which reach outside, which are no function of the rows."""

from __future__ import annotations

from sqlglot import exp

#: Function → why it is refused in every model.
OUTSIDE = {
    **dict.fromkeys(("reflect", "java_method", "try_reflect"), "it calls any method of the Java process"),
    **dict.fromkeys(
        ("input_file_name", "input_file_block_start", "input_file_block_length"),
        "rows are staged and moved between files, so the answer changes without the data",
    ),
    **dict.fromkeys(
        (
            "current_catalog",
            "current_database",
            "current_schema",
            "current_user",
            "session_user",
            "user",
            "version",
            "current_timezone",
        ),
        "the answer depends on the session, not on the rows",
    ),
    "identifier": "it makes names out of text, so nobody can tell what is read",
    **dict.fromkeys(("read_files", "read_kafka", "read_statestore"), "it reads what is no declared input"),
}

CLOCK = "it gives another answer in every run"
RANDOM = "it gives another answer each time a row is computed"
TIES = "which of several rows it takes is chance: it changes with the layout of the files"
APPROX = "its answer changes with the layout of the files"
FLOAT = "floating-point sums depend on the order of the rows, which changes with the layout of the files"
CLOCK_FIX = "use a column of the event, or received_at of a stream or file"

#: Function → (why, fix): refused wherever they stand.
REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("now", "current_date", "curdate", "current_timestamp", "current_time", "localtimestamp"),
        (CLOCK, CLOCK_FIX),
    ),
    **dict.fromkeys(
        ("rand", "random", "randn", "randstr", "uniform", "uuid", "shuffle", "aes_encrypt"),
        (RANDOM, "derive it from the key, for example with xxhash64(key) or md5(key)"),
    ),
    **dict.fromkeys(
        ("monotonically_increasing_id", "spark_partition_id"),
        ("it numbers rows by where they lie", "use the key, or arrival of a stream or file"),
    ),
    **dict.fromkeys(
        ("max_by", "min_by"),
        (TIES, "write max(struct(order, key, value)).value: ties are broken by the key"),
    ),
    "mode": (TIES, "count in one CTE, then max(struct(count, value)).value"),
    **dict.fromkeys(
        (
            "approx_count_distinct",
            "approx_percentile",
            "percentile_approx",
            "approx_top_k",
            "count_min_sketch",
            "hll_sketch_agg",
            "hll_union_agg",
            "histogram_numeric",
        ),
        (APPROX, "use count(DISTINCT …), percentile(…) or another exact function"),
    ),
    **dict.fromkeys(
        (
            "stddev",
            "stddev_pop",
            "stddev_samp",
            "std",
            "variance",
            "var_pop",
            "var_samp",
            "skewness",
            "kurtosis",
            "corr",
            "covar_pop",
            "covar_samp",
            "regr_slope",
            "regr_intercept",
            "regr_r2",
        ),
        (FLOAT, "keep count, sum and sum of squares as decimals, and divide at the end"),
    ),
}

#: Names that Spark reads as functions where no column bears them; ``clock`` says so itself.
BARE_FUNCTIONS = frozenset(
    (
        "current_date",
        "current_timestamp",
        "current_time",
        "localtimestamp",
        "current_user",
        "session_user",
        "user",
    )
)
#: Functions that may stand in FROM: they make rows of their arguments.
TABLE_FUNCTIONS = frozenset(
    (
        "range",
        "explode",
        "explode_outer",
        "posexplode",
        "posexplode_outer",
        "inline",
        "inline_outer",
        "stack",
        "json_tuple",
        "variant_explode",
        "variant_explode_outer",
    )
)
#: Functions that make several columns or rows where they stand in a SELECT list.
GENERATORS = (
    "explode",
    "posexplode",
    "inline",
    "stack",
    "jsontuple",
    "json_tuple",
    "variant_explode",
    "parse_url",
)
#: Aggregates that sqlglot does not know as such.
_MORE_AGGREGATES = frozenset(
    (
        "any",
        "corr",
        "count_min_sketch",
        "covar_pop",
        "covar_samp",
        "every",
        "histogram_numeric",
        "hll_sketch_agg",
        "hll_union_agg",
        "mean",
        "regr_avgx",
        "regr_avgy",
        "regr_sxx",
        "regr_sxy",
        "regr_syy",
        "some",
        "std",
        "try_avg",
        "try_sum",
    )
)


def function_name(node: exp.Expr | None) -> str:
    """The name of a function in lower case; empty for what is none."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    return node.sql_names()[0].lower() if isinstance(node, exp.Func) else ""


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node is a function over many rows."""
    return isinstance(node, exp.AggFunc) or function_name(node) in _MORE_AGGREGATES
