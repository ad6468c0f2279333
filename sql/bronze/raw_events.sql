-- One row per Wikimedia edit event: typed columns beside the event as it was received. The first delivery
-- stays. Whatever a stranger sends, no expression here fails: what does not fit its column is NULL and counted.
MERGE INTO {{ target }} AS t
USING (
    WITH
    texts AS (
        SELECT *, md5(value) AS text_md5
        FROM {{ source('events') }}
    ),
    -- JSON is parsed in LATERAL VIEWs alone: a generator's expression is evaluated once for a row, where the
    -- optimizer may repeat a column's expression wherever the column is used.
    documents AS (
        SELECT *
        FROM texts
        LATERAL VIEW explode(array({{ sealed_json('value', 'text_md5', '
            meta STRING, id STRING, type STRING, wiki STRING, title STRING, namespace STRING,
            user STRING, comment STRING, bot STRING, minor STRING, patrolled STRING,
            length STRING, revision STRING, timestamp STRING,
            log_id STRING, log_type STRING, log_action STRING, log_params STRING') }})) AS document
    ),
    -- event is NULL where the text is not one JSON object.
    events AS (
        SELECT
            value, text_md5, topic, partition, offset, received_at, arrival,
            CASE
                WHEN {{ is_json_object('document', 'text_md5') }}
                THEN get(document.sealed, 1)
            END AS event
        FROM documents
    ),
    -- members: the source text of the fields, where text that from_json rendered anew may differ from it.
    opened AS (
        SELECT *
        FROM events
        LATERAL VIEW inline(array(struct(
            {{ json_object('event.meta', 'id STRING, dt STRING, domain STRING') }},
            {{ json_object('event.length', 'old STRING, new STRING') }},
            {{ json_object('event.revision', 'old STRING, new STRING') }},
            CASE
                WHEN event.log_params IS NOT NULL
                OR {{ maybe_rendered('event.type') }}
                OR {{ maybe_rendered('event.wiki') }}
                OR {{ maybe_rendered('event.title') }}
                OR {{ maybe_rendered('event.user') }}
                OR {{ maybe_rendered('event.comment') }}
                OR {{ maybe_rendered('event.log_type') }}
                OR {{ maybe_rendered('event.log_action') }}
                THEN {{ json_members('value') }}
            END
        ))) AS meta, length, revision, members
    ),
    typed AS (
        SELECT
            *,
            -- Without an id, the MD5 of the text is the same for every delivery of the same event.
            coalesce(nullif(meta.id, ''), text_md5, md5('')) AS event_id,
            {{ whole_number('event.id', 'BIGINT') }} AS rc_id,
            {{ whole_number('event.namespace', 'INT') }} AS namespace,
            {{ flag("coalesce(event.bot, 'false')") }} AS is_bot,
            {{ flag('event.minor') }} AS is_minor,
            {{ flag('event.patrolled') }} AS is_patrolled,
            {{ whole_number('length.old', 'BIGINT') }} AS length_old,
            {{ whole_number('length.new', 'BIGINT') }} AS length_new,
            {{ whole_number('revision.old', 'BIGINT') }} AS revision_old,
            {{ whole_number('revision.new', 'BIGINT') }} AS revision_new,
            {{ whole_number('event.log_id', 'BIGINT') }} AS log_id,
            {{ whole_number('event.timestamp', 'BIGINT') }} AS epoch_seconds,
            {{ iso_timestamp('meta.dt') }} AS iso_time
        FROM opened
    ),
    derived AS (
        SELECT
            *,
            try_subtract(length_new, coalesce(length_old, 0L)) AS length_delta,
            {{ within_years('iso_time') }} AS event_timestamp,
            {{ epoch_timestamp('epoch_seconds') }} AS source_timestamp
        FROM typed
    )
    SELECT
        event_id,
        rc_id,
        {{ as_sent('event', 'type', 'members') }} AS event_type,
        meta.domain AS domain,
        {{ as_sent('event', 'wiki', 'members') }} AS wiki,
        {{ as_sent('event', 'title', 'members') }} AS title,
        namespace,
        {{ as_sent('event', 'user', 'members') }} AS user, -- noqa: PRS
        {{ as_sent('event', 'comment', 'members') }} AS comment,
        is_bot,
        is_minor,
        is_patrolled,
        length_old,
        length_new,
        length_delta,
        revision_old,
        revision_new,
        log_id,
        {{ as_sent('event', 'log_type', 'members') }} AS log_type,
        {{ as_sent('event', 'log_action', 'members') }} AS log_action,
        CASE
            WHEN event.log_params IS NOT NULL
            THEN coalesce({{ json_source('members', 'log_params') }}, event.log_params)
        END AS log_params,
        event_timestamp,
        source_timestamp,
        CAST(event_timestamp AS DATE) AS event_date,
        hour(event_timestamp) AS event_hour,
        topic AS kafka_topic,
        partition AS kafka_partition,
        offset AS kafka_offset,
        value AS payload,
        received_at AS ingested_at,
        '1.0' AS schema_version,
        -- Not stored in the table: for drop, dedupe and checks.
        arrival,
        event IS NOT NULL AS is_event,
        -- A heartbeat names its domain, or has a meta object and nothing that an event has.
        coalesce(
            meta.domain = 'canary'
            OR (meta IS NOT NULL AND meta.domain IS NULL AND event.type IS NULL AND event.id IS NULL),
            false
        ) AS is_heartbeat,
        {{ misfit('event.id', 'rc_id') }}
        + {{ misfit('event.namespace', 'namespace') }}
        + {{ misfit('event.bot', 'is_bot') }}
        + {{ misfit('event.minor', 'is_minor') }}
        + {{ misfit('event.patrolled', 'is_patrolled') }}
        + {{ misfit('event.length', 'length') }}
        + {{ misfit('length.old', 'length_old') }}
        + {{ misfit('length.new', 'length_new') }}
        + {{ misfit('length_new', 'length_delta') }}
        + {{ misfit('event.revision', 'revision') }}
        + {{ misfit('revision.old', 'revision_old') }}
        + {{ misfit('revision.new', 'revision_new') }}
        + {{ misfit('event.log_id', 'log_id') }}
        + {{ misfit('event.timestamp', 'source_timestamp') }} AS unfit_fields
    FROM derived
) AS s
ON t.event_id = s.event_id
WHEN NOT MATCHED THEN INSERT *
