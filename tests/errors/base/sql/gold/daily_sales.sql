MERGE INTO {{ target }} AS t
USING (
    SELECT
        order_date AS sale_date,
        region,
        count(*) AS orders,
        sum(amount) AS amount,
        sort_array(collect_set(customer)) AS customers
    FROM {{ source('orders') }}
    GROUP BY order_date, region
) AS s
ON t.sale_date <=> s.sale_date AND t.region = s.region
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
