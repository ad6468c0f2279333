-- Risk feed
SELECT stat_date, entity_id AS user, risk_level, risk_score, evidence
FROM gold.risk_scores
WHERE risk_level <> 'LOW'
ORDER BY risk_score DESC, stat_date DESC, user
LIMIT 8
