{#- Arithmetic that is exact, so that a table built in parts equals one built whole. -#}

{#- 100 × part ÷ whole for counts, to two decimals, half away from zero, as a double; NULL where whole is 0.
    Whole numbers decide the rounding: a double would make 0.12 of 1 ÷ 800 (0.125 %). -#}
{%- macro percentage(part, whole) -%}
CAST(
        CASE WHEN {{ part }} < 0 THEN -1 ELSE 1 END
        * ((20000 * abs({{ part }}) + {{ whole }}) DIV nullif(2 * {{ whole }}, 0))
        AS DOUBLE
    ) / 100
{%- endmacro -%}

{#- The sum of whole numbers as a bigint: 0 for no rows, NULL where it leaves bigint's range. A sum of bigints
    would fail the run or depend on the order of its rows when an intermediate sum overflows. -#}
{%- macro exact_sum(number, where=none) -%}
try_cast(coalesce({{ wide_sum(number, where) }}, 0) AS BIGINT)
{%- endmacro -%}

{%- macro wide_sum(number, where=none) -%}
sum({{ wide(number) }}){% if where %} FILTER (WHERE {{ where }}){% endif %}
{%- endmacro -%}

{%- macro wide(number) -%}
CAST({{ number }} AS DECIMAL(20, 0))
{%- endmacro -%}
