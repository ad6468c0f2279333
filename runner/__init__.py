"""A Spark-SQL transformation framework for medallion lakehouses."""

__version__ = "0.1.0"
