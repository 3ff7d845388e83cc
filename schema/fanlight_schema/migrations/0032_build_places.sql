-- build_places: where the spans of those actions are.
CREATE OR REPLACE VIEW build_places AS
SELECT hour, trace_id
FROM trace_index
WHERE trace_id IN (SELECT trace_id FROM action_traces WHERE action_id IN (SELECT action_id FROM build_actions))
COMMENT 'Hours and traces that hold the spans of the open build';
