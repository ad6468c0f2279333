-- What happened on a wiki in one UTC hour, over valid events.
MERGE INTO {{ target }} AS t
USING (
    WITH valid AS (
        SELECT *, coalesce(is_bot, false) AS by_bot
        FROM {{ source('events') }}
        WHERE is_valid
    )
    SELECT
        event_date AS stat_date,
        event_hour AS stat_hour,
        domain,
        -- Both depend on the domain alone, so max() picks their one value.
        max(region) AS region,
        max(language) AS language,
        count(*) AS total_events,
        count(DISTINCT user_normalized) AS unique_users,
        count(DISTINCT title) AS unique_pages,
        {{ exact_sum('length_delta', where='length_delta > 0') }} AS bytes_added,
        {{ exact_sum('-' ~ wide('length_delta'), where='length_delta < 0') }} AS bytes_removed,
        CAST({{ wide_sum('abs(' ~ wide('length_delta') ~ ')') }} AS DOUBLE)
            / nullif(count(length_delta), 0) AS avg_edit_size,
        count_if(by_bot) AS bot_events,
        count_if(NOT by_bot) AS human_events,
        count_if(is_anonymous) AS anonymous_events,
        {{ percentage('count_if(by_bot)', 'count(*)') }} AS bot_percentage,
        count_if(event_type = 'edit') AS edits,
        count_if(event_type = 'new') AS new_pages,
        count_if(event_type = 'log') AS log_actions,
        count_if(event_type = 'categorize') AS categorizations,
        count_if(is_large_deletion) AS large_deletions,
        count_if(is_large_addition) AS large_additions
    FROM valid
    GROUP BY event_date, event_hour, domain
) AS s
ON t.stat_date = s.stat_date AND t.stat_hour = s.stat_hour AND t.domain = s.domain
WHEN MATCHED AND {{ changed('t', 's') }} THEN UPDATE SET *
WHEN NOT MATCHED THEN INSERT *
