"""The gate: what the counts of the staged rows say, and what only the table on its branch can."""
