"""The port on Spark 4.1 and Iceberg 1.11; with ``testing`` the only importer of pyspark."""
