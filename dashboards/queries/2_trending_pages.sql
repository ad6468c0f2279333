-- Trending pages (the newest day against the day before)
SELECT entity_id AS page, events, prior_events AS day_before, change_pct, unique_users AS users, trend
FROM gold.entity_trends
WHERE entity_type = 'page' AND trend IN ('rising', 'new')
  AND stat_date = (SELECT max(stat_date) FROM gold.entity_trends)
ORDER BY events - prior_events DESC, page
LIMIT 8
