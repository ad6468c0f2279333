{#- Whether a text is an IPv4 or IPv6 address, by the grammar of RFC 4291 and of Python's
    ipaddress.ip_address: octets without leading zeros, '::' for at least one group, no zone. -#}
{%- macro is_ip_address(text) -%}
{{ text }} RLIKE r'\A(?:{{ ipv4() }}|{{ ipv6() }})\z'
{%- endmacro -%}

{%- macro ipv4() -%}
{{ octet() }}(?:\.{{ octet() }}){3}
{%- endmacro -%}

{%- macro octet() -%}
(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])
{%- endmacro -%}

{#- Eight groups, the last two maybe written as IPv4; or 0 to 7 groups before a '::', and after it at most
    as many as leave one for the '::' to stand for. -#}
{%- macro ipv6() -%}
{%- set group = '[0-9A-Fa-f]{1,4}' -%}
(?:{{ group }}:){6}(?:{{ group }}:{{ group }}|{{ ipv4() }})
{%- for before in range(8) -%}
|{% if before %}(?:{{ group }}:){{ '{' ~ before ~ '}' }}:{% else %}::{% endif %}
{%- if before < 6 %}(?:(?:{{ group }}:){0,{{ 6 - before }}}{{ group }}|(?:{{ group }}:){0,{{ 5 - before }}}{{ ipv4() }})?
{%- elif before == 6 %}(?:{{ group }})?{% endif %}
{%- endfor -%}
{%- endmacro -%}
