-- How much a domain or a page moved against the day before, over valid events.
MERGE INTO {{ target }} AS t
USING (
    WITH
    -- Every event counts for its domain and for its page.
    entities AS (
        SELECT event_date, entity_type, entity_id, user_normalized, length_delta
        FROM {{ source('events') }}
        LATERAL VIEW stack(2, 'domain', domain, 'page', concat(domain, '/', title)) AS entity_type, entity_id
        WHERE is_valid AND entity_id IS NOT NULL
    ),
    daily AS (
        SELECT
            event_date AS stat_date,
            entity_type,
            entity_id,
            count(*) AS events,
            count(DISTINCT user_normalized) AS unique_users,
            {{ exact_sum('length_delta') }} AS net_bytes
        FROM entities
        GROUP BY event_date, entity_type, entity_id
    ),
    with_prior AS (
        SELECT
            *,
            -- The row of the day before, where there is one: a gap of two days is no prior.
            coalesce(
                sum(events) OVER (
                    PARTITION BY entity_type, entity_id ORDER BY stat_date RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING
                ),
                0L
            ) AS prior_events
        FROM daily
    ),
    compared AS (
        SELECT *, {{ percentage('(events - prior_events)', 'prior_events') }} AS change_pct
        FROM with_prior
    )
    SELECT
        stat_date,
        entity_type,
        entity_id,
        events,
        unique_users,
        net_bytes,
        prior_events,
        change_pct,
        CASE
            WHEN prior_events = 0 THEN 'new'
            WHEN change_pct >= {{ var('rising') }} THEN 'rising'
            WHEN change_pct <= {{ var('falling') }} THEN 'falling'
            ELSE 'steady'
        END AS trend
    FROM compared
) AS s
ON t.stat_date = s.stat_date AND t.entity_type = s.entity_type AND t.entity_id = s.entity_id
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
