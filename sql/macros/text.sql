{#- Text without control characters (U+0000–001F, U+007F–009F) and without Unicode white space at its ends;
    NULL where nothing is left. Upper and lower case stay. -#}
{%- macro clean_text(text) -%}
nullif(regexp_replace(regexp_replace({{ text }}, r'[\x00-\x1F\x7F-\x9F]++', ''), r'\A\p{Z}++|(?<!\p{Z})\p{Z}++\z', ''), '')
{%- endmacro -%}
