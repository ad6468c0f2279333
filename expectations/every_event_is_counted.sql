-- Hours and wikis add up to the valid events that they were made from: none is lost, none counts twice.
SELECT counted.events AS counted_in_gold, valid.events AS valid_in_silver
FROM (SELECT coalesce(sum(total_events), 0) AS events FROM {{ target }}) AS counted
CROSS JOIN (SELECT count_if(is_valid) AS events FROM {{ source('events') }}) AS valid
WHERE counted.events <> valid.events
