-- A user's day in five measures, and the points that they make. Thresholds and points are vars of the pipeline.
MERGE INTO {{ target }} AS t
USING (
    WITH
    edits AS (
        SELECT event_date, event_hour, user_normalized, domain, is_large_deletion, is_anonymous
        FROM {{ source('events') }}
        WHERE is_valid AND event_type IN ('edit', 'new') AND NOT coalesce(is_bot, false)
    ),
    -- Hour and domain are kept apart for the peak and the spread of the day.
    by_hour_and_domain AS (
        SELECT
            event_date,
            user_normalized,
            event_hour,
            domain,
            count(*) AS edits,
            count_if(is_large_deletion) AS large_deletions,
            count_if(is_anonymous) AS anonymous_edits
        FROM edits
        GROUP BY event_date, user_normalized, event_hour, domain
    ),
    with_hours AS (
        SELECT *, sum(edits) OVER (PARTITION BY event_date, user_normalized, event_hour) AS edits_in_hour
        FROM by_hour_and_domain
    ),
    measured AS (
        SELECT
            event_date AS stat_date,
            user_normalized AS entity_id,
            sum(edits) AS total_edits,
            max(edits_in_hour) AS peak_edits_per_hour,
            sum(large_deletions) AS large_deletions,
            sum(anonymous_edits) AS anonymous_edits,
            count(DISTINCT domain) AS domains_edited
        FROM with_hours
        GROUP BY event_date, user_normalized
    ),
    scored AS (
        SELECT
            *,
            CASE WHEN peak_edits_per_hour > {{ var('high_velocity') }} THEN {{ var('velocity_points') }} ELSE 0 END
            + CASE WHEN large_deletions > {{ var('many_deletions') }} THEN {{ var('deletion_points') }} ELSE 0 END
            + CASE
                WHEN 100 * anonymous_edits > {{ var('anonymous_percent') }} * total_edits
                THEN {{ var('anonymous_points') }} ELSE 0
            END
            + CASE
                WHEN domains_edited > {{ var('many_domains') }} AND peak_edits_per_hour > {{ var('high_velocity') }}
                THEN {{ var('spread_points') }} ELSE 0
            END AS points
        FROM measured
    ),
    levelled AS (
        SELECT
            *,
            CASE
                WHEN points >= {{ var('high_risk') }} THEN 'HIGH'
                WHEN points >= {{ var('medium_risk') }} THEN 'MEDIUM'
                ELSE 'LOW'
            END AS risk_level
        FROM scored
    )
    SELECT
        stat_date,
        entity_id,
        'user' AS entity_type,
        total_edits,
        peak_edits_per_hour,
        large_deletions,
        anonymous_edits,
        domains_edited,
        CAST(points AS DOUBLE) AS risk_score,
        risk_level,
        risk_level = 'HIGH' AS alert_triggered,
        to_json(struct(total_edits, peak_edits_per_hour, large_deletions, anonymous_edits, domains_edited)) AS evidence
    FROM levelled
) AS s
ON t.stat_date = s.stat_date AND t.entity_id = s.entity_id
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
