-- One row per event: bronze without payload and user, with what analysts filter and group by.
MERGE INTO {{ target }} AS t
USING (
    WITH named AS (
        SELECT *, {{ clean_text('user') }} AS user_normalized -- noqa: PRS
        FROM {{ source('events') }}
    )
    SELECT
        e.event_id,
        e.rc_id,
        e.event_type,
        e.domain,
        coalesce(r.region, 'other') AS region,
        {{ wiki_language('e.domain') }} AS language,
        e.wiki,
        e.title,
        e.namespace,
        e.user_normalized,
        {{ is_anonymous_user('e.user_normalized') }} AS is_anonymous,
        e.comment,
        e.is_bot,
        e.is_minor,
        e.is_patrolled,
        e.length_old,
        e.length_new,
        e.length_delta,
        coalesce(e.length_delta < {{ var('large_deletion') }}, false) AS is_large_deletion,
        coalesce(e.length_delta > {{ var('large_addition') }}, false) AS is_large_addition,
        e.revision_old,
        e.revision_new,
        e.log_id,
        e.log_type,
        e.log_action,
        e.log_params,
        coalesce(
            e.event_type IN ('edit', 'new', 'log', 'categorize', 'external')
            AND e.title <> '' AND e.user_normalized IS NOT NULL,
            false
        ) AS is_valid,
        e.event_timestamp,
        e.source_timestamp,
        e.event_date,
        e.event_hour,
        e.kafka_topic,
        e.kafka_partition,
        e.kafka_offset,
        e.ingested_at,
        e.schema_version
    FROM named AS e
    LEFT JOIN {{ source('regions') }} AS r ON r.domain = e.domain
) AS s
ON t.event_id = s.event_id
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
