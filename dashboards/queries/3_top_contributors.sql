-- Top contributors (people, not bots)
SELECT entity_id                  AS contributor,
       sum(total_edits)           AS edits,
       max(peak_edits_per_hour)   AS busiest_hour,
       max(domains_edited)        AS wikis,
       count(*)                   AS days_active
FROM gold.risk_scores
GROUP BY entity_id
ORDER BY edits DESC, contributor
LIMIT 8
