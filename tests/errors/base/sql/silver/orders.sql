MERGE INTO {{ target }} AS t
USING (
    SELECT
        r.order_id,
        r.customer,
        coalesce(c.region, 'other') AS region,
        r.amount,
        r.weight,
        coalesce(r.amount >= {{ var('large') }}, false) AS is_large,
        r.order_date
    FROM {{ source('raw') }} AS r
    LEFT JOIN {{ source('countries') }} AS c ON c.country = r.country
) AS s
ON t.order_id = s.order_id
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
