-- Busiest wikis
SELECT domain,
       region,
       sum(total_events)                                            AS events,
       sum(bot_events)                                              AS bots,
       sum(bytes_added) - sum(bytes_removed)                        AS net_bytes,
       round(100.0 * sum(anonymous_events) / sum(total_events), 1)  AS anonymous_pct
FROM gold.hourly_stats
GROUP BY domain, region
ORDER BY events DESC, domain
LIMIT 8
