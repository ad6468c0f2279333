{#- The language of a Wikimedia host: its first label, where the second names a project that has one edition a
    language. NULL for commons, wikidata, meta …, for mobile hosts (en.m.…) and for hosts that are no language. -#}
{%- macro wiki_language(host) -%}
CASE
        WHEN split_part({{ host }}, '.', 2) IN (
            'wikipedia', 'wiktionary', 'wikiquote', 'wikibooks', 'wikinews', 'wikisource', 'wikiversity', 'wikivoyage'
        )
        AND split_part({{ host }}, '.', 1) NOT IN ('www', 'test', 'test2', 'm')
        THEN split_part({{ host }}, '.', 1)
    END
{%- endmacro -%}

{#- A registered user, as opposed to an address or a temporary account (~2026-12345-67). Never NULL. -#}
{%- macro is_anonymous_user(name) -%}
coalesce({{ is_ip_address(name) }} OR {{ name }} RLIKE r'\A~[0-9]{4}-', false)
{%- endmacro -%}
