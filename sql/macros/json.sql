{#- Reading JSON from strangers: nothing here fails, and nothing guesses.

    Every repetition in the regular expressions is possessive (*+): Java then loops instead of recursing, so a
    text of any length costs neither a stack overflow nor backtracking. -#}

{#- `text`, one JSON document, as array<struct<…fields…>> (fields as text); what is_json_object refuses is not
    JSON. Spark stops reading at the end of a document and would accept `{"a":1} xyz`. So the document is read
    as the first element of an array; the second, the seal, is the text's own MD5, which no text can contain.
    Keys are compared by case; of equal keys the last counts; null is an absent key. -#}
{%- macro sealed_json(text, fields) -%}
from_json(
            concat('[', {{ text }}, ',{"seal":"', md5({{ text }}), '"}]'),
            'ARRAY<STRUCT<seal STRING, {{ fields }}>>',
            map('mode', 'PERMISSIVE', 'allowSingleQuotes', 'false', 'allowNonNumericNumbers', 'false', 'maxNumLen', '10000')
        )
{%- endmacro -%}

{#- Whether `sealed`, which sealed_json made of `text`, is exactly one JSON object. -#}
{%- macro is_json_object(sealed, text) -%}
size({{ sealed }}) = 2 AND get({{ sealed }}, 0) IS NOT NULL AND get({{ sealed }}, 1).seal = md5({{ text }})
{%- endmacro -%}

{#- A nested object, which sealed_json gives as JSON text, as a struct of text fields; NULL for other values. -#}
{%- macro json_object(text, fields) -%}
CASE WHEN startswith({{ text }}, '{') THEN from_json({{ text }}, '{{ fields }}', map('mode', 'PERMISSIVE')) END
{%- endmacro -%}

{#- Text → a whole number of an integer type; NULL for 5.0, 1e3, ' 5 ' and what is out of range. -#}
{%- macro whole_number(text, type) -%}
CASE WHEN {{ text }} RLIKE r'\A[+-]?[0-9]++\z' THEN try_cast({{ text }} AS {{ type }}) END
{%- endmacro -%}

{#- Text → true or false; NULL for anything else. -#}
{%- macro flag(text) -%}
CASE {{ text }} WHEN 'true' THEN true WHEN 'false' THEN false END
{%- endmacro -%}

{#- 1 where a value is there and did not fit its column. -#}
{%- macro misfit(sent, fitted) -%}
CAST({{ sent }} IS NOT NULL AND {{ fitted }} IS NULL AS INT)
{%- endmacro -%}

{#- The exact source text of a member of the JSON object in `text`: quotes, escapes, blanks and digits as they
    were sent, where from_json renders a value anew (1.50 → 1.5). Of equal keys the last counts. Empty where the
    key is absent or written with escapes, or where some value nests deeper than 12 levels. -#}
{%- macro json_source(text, key) -%}
{%- set value = json_value(12) -%}
regexp_extract({{ text }}, r'\A\s*+\{(?:\s*+(?:"{{ key }}"\s*+:\s*+({{ value }})|{{ json_string() }}\s*+:\s*+{{ value }})\s*+,?+)*+\}', 1)
{%- endmacro -%}

{#- Regular expressions of JSON's grammar, for text that is known to be JSON. -#}
{%- macro json_value(depth) -%}
(?:{{ json_string() }}|[^\s"\[\]{},:]++|{{ json_nested(depth) }})
{%- endmacro -%}

{%- macro json_nested(depth) -%}
[\[{](?:[^"\[\]{}]++|{{ json_string() }}{% if depth > 1 %}|{{ json_nested(depth - 1) }}{% endif %})*+[\]}]
{%- endmacro -%}

{%- macro json_string() -%}
"[^"\\]*+(?:\\.[^"\\]*+)*+"
{%- endmacro -%}
