{#- Reading JSON from strangers: nothing here fails, and nothing guesses.

    Every repetition in the regular expressions is possessive (*+): Java then loops instead of recursing, so a
    text of any length costs neither a stack overflow nor backtracking. -#}

{#- `text`, one JSON document, between two seals: struct<sealed: array<struct<…fields…>>, malformed>. Fields are
    text, keys are compared by case, of equal keys the last counts, null is an absent key.
    Spark accepts `{"a":1} xyz`, for it stops reading where a document ends. Here the end it must reach is a seal,
    the text's own MD5, which no text can contain. It also reads on after a fault inside a nested value, and says
    so in `malformed` alone. Whether the text is one JSON object is for is_json_object to say. -#}
{%- macro sealed_json(text, text_md5, fields) -%}
from_json(
            concat('{"sealed":[{"seal":"', {{ text_md5 }}, '"},', {{ text }}, ',{"seal":"', {{ text_md5 }}, '"}]}'),
            'sealed ARRAY<STRUCT<seal STRING, {{ fields }}>>, malformed STRING',
            map(
                'mode', 'PERMISSIVE', 'columnNameOfCorruptRecord', 'malformed', 'maxNumLen', '10000',
                'allowSingleQuotes', 'false', 'allowNonNumericNumbers', 'false'
            )
        )
{%- endmacro -%}

{#- Whether `document`, which sealed_json made, is exactly one JSON object. NULL is no. -#}
{%- macro is_json_object(document, text_md5) -%}
{{ document }}.malformed IS NULL
                AND size({{ document }}.sealed) = 3
                AND get({{ document }}.sealed, 0).seal = {{ text_md5 }}
                AND get({{ document }}.sealed, 1) IS NOT NULL
                AND get({{ document }}.sealed, 2).seal = {{ text_md5 }}
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

{#- Whether from_json may have rendered `text` anew: it has the form of an array, an object, or a number with a
    fraction, an exponent (too large: "Infinity") or the sign of -0. Strings may have it too; wiki links do not. -#}
{%- macro maybe_rendered(text) -%}
{{ text }} RLIKE r'\A(?:\[++(?:[\]{"0-9-]|true|false|null)|\{["}]|0\z|-?[0-9]++\.[0-9]++(?:E-?[0-9]++)?\z|"-?Infinity"\z)'
{%- endmacro -%}

{#- The members of the JSON object in `text` as they were sent: array of `"key":value` with every quote, escape,
    blank and digit in place. The array ends before a value that nests deeper than 12 levels. -#}
{%- macro json_members(text) -%}
regexp_extract_all({{ text }}, r'(?:\A\s*+\{|\G\s*+,)\s*+({{ json_string() }}\s*+:\s*+{{ json_value(12) }})', 1)
{%- endmacro -%}

{#- The source text of the value of `key`, the last of equal keys; NULL where `members` does not hold it. -#}
{%- macro json_source(members, key) -%}
regexp_replace(try_element_at(filter({{ members }}, m -> startswith(m, '"{{ key }}"')), -1), r'\A"{{ key }}"\s*+:\s*+', '')
{%- endmacro -%}

{#- A field of `object`, which from_json made of a text with these members, as a string: a string as sent, anything else as its source text. -#}
{%- macro as_sent(object, key, members) -%}
CASE
            WHEN {{ members }} IS NOT NULL AND {{ object }}.{{ key }} IS NOT NULL
                AND NOT startswith({{ json_source(members, key) }}, '"')
            THEN {{ json_source(members, key) }}
            ELSE {{ object }}.{{ key }}
        END
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
