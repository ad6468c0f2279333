MERGE INTO {{ target }} AS t
USING (
    WITH parsed AS (
        SELECT *, {{ parsed('value') }} AS o
        FROM {{ source('orders') }}
    )
    SELECT
        o.order_id,
        o.customer,
        o.country,
        try_cast(o.amount AS DECIMAL(10, 2)) AS amount,
        try_cast(o.weight AS DOUBLE) AS weight,
        try_cast(o.order_date AS DATE) AS order_date,
        o.kind,
        received_at,
        arrival
    FROM parsed
) AS s
ON t.order_id = s.order_id
WHEN NOT MATCHED THEN INSERT *
