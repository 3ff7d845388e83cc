-- build_actions: the same as one value, which a query finds once, however many parts of the build ask for it.
CREATE OR REPLACE VIEW build_actions AS
WITH (SELECT groupArray(action_id) FROM build_named) AS named
SELECT arrayJoin(named) AS action_id
COMMENT 'Actions that the open build computes'
