{%- macro parsed(text) -%}
from_json({{ text }}, 'order_id STRING, customer STRING, country STRING, amount STRING, weight STRING, order_date STRING, kind STRING')
{%- endmacro -%}
