{#- ISO 8601 text → timestamp, floored to the millisecond; NULL where it is none. Date, hour and minute are
    required; without Z or an offset the time is UTC. Spark reads no offset without seconds: they are added. -#}
{%- macro iso_timestamp(text) -%}
CASE
                WHEN {{ text }} RLIKE r'\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]++)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?\z'
                THEN date_trunc('MILLISECOND', try_cast(regexp_replace({{ text }}, r'\A(.{16})(?!:)', '$1:00') AS TIMESTAMP))
            END
{%- endmacro -%}

{#- A timestamp in the years 1 to 9999, which every reader can hold; else NULL. -#}
{%- macro within_years(timestamp) -%}
CASE WHEN year({{ timestamp }}) BETWEEN 1 AND 9999 THEN {{ timestamp }} END
{%- endmacro -%}

{#- Seconds since 1970 (a bigint) → timestamp in the years 1 to 9999; else NULL: far outside the cast overflows. -#}
{%- macro epoch_timestamp(seconds) -%}
CASE WHEN {{ seconds }} BETWEEN -62135596800 AND 253402300799 THEN timestamp_seconds({{ seconds }}) END
{%- endmacro -%}
