#include "operators/sinks/postgres/swap_catalog.h"

namespace tidemark::swap_catalog {

const char kUnfit[] = R"sql(
WITH live AS (SELECT * FROM pg_class WHERE oid = to_regclass($1)),
     shadow AS (SELECT * FROM pg_class WHERE oid = to_regclass($2)),
     both_tables AS (SELECT 'table ' || $4 AS label, * FROM live UNION ALL SELECT 'table ' || $5, * FROM shadow),
     columns AS (SELECT a.*, a.attrelid = (SELECT oid FROM live) AS of_live
                 FROM pg_attribute a JOIN both_tables t ON a.attrelid = t.oid WHERE attnum > 0 AND NOT attisdropped)
SELECT 'table ' || $5 || ' doesn''t exist' WHERE NOT EXISTS (SELECT FROM shadow)
UNION ALL
SELECT label || CASE WHEN relkind = 'p' OR relispartition THEN ' is partitioned' ELSE ' isn''t a plain table' END ||
       ': it can''t change places with another' FROM both_tables WHERE relkind <> 'r' OR relispartition
UNION ALL
SELECT label || ' inherits, or is inherited from: it can''t change places with another' FROM both_tables t
WHERE NOT relispartition AND EXISTS (SELECT FROM pg_inherits WHERE t.oid IN (inhrelid, inhparent))
UNION ALL
SELECT $4 || ' and ' || $5 || ' aren''t both logged, or unlogged' FROM live, shadow
WHERE live.relpersistence <> shadow.relpersistence
UNION ALL
SELECT 'user ' || current_user || ' doesn''t own ' || label || ', which ' || pg_get_userbyid(relowner) ||
       ' does: grant that role, or change the owner' FROM both_tables WHERE NOT pg_has_role(relowner, 'USAGE')
UNION ALL
SELECT 'user ' || current_user || ' may not create in schema ' || n.nspname || ', which renaming takes'
FROM shadow JOIN pg_namespace n ON n.oid = relnamespace WHERE NOT has_schema_privilege(n.oid, 'CREATE')
UNION ALL
SELECT 'column ' || attname || ' of ' || $4 || ' isn''t the topology''s, and ' || $5 || ' lacks it; what stands in it '
       'would be left behind. Add it there, or drop it' FROM columns l
WHERE of_live AND NOT attname = ANY (string_to_array($3, chr(1)))
  AND NOT EXISTS (SELECT FROM columns s WHERE NOT s.of_live AND s.attname = l.attname)
UNION ALL
SELECT 'the default of column ' || attname || ' of ' || $4 || ' takes numbers from a sequence; give the column of ' ||
       $5 || ' the like' FROM columns l JOIN pg_attrdef d ON d.adrelid = l.attrelid AND d.adnum = l.attnum
WHERE of_live AND pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%'
  AND EXISTS (SELECT FROM columns s WHERE NOT s.of_live AND s.attname = l.attname AND NOT s.atthasdef)
UNION ALL
SELECT 'column ' || attname || ' is an identity or generated in ' || $4 || ', and otherwise in ' || $5 FROM columns l
WHERE of_live AND EXISTS (SELECT FROM columns s WHERE NOT s.of_live AND s.attname = l.attname AND
                                 (s.attidentity, s.attgenerated) IS DISTINCT FROM (l.attidentity, l.attgenerated))
UNION ALL
SELECT 'the replica identity of ' || $4 || ' is an index; say the same of ' || $5 FROM live, shadow
WHERE live.relreplident = 'i' AND shadow.relreplident <> 'i'
UNION ALL
SELECT $4 || ' has row-level security and ' || $5 || ' hasn''t; enable it there, with the same policies'
FROM live, shadow WHERE (live.relrowsecurity AND NOT shadow.relrowsecurity)
                     OR (live.relforcerowsecurity AND NOT shadow.relforcerowsecurity)
)sql";

const char kBound[] = R"sql(
WITH t AS (SELECT to_regclass($1) AS oid, to_regclass($1)::text AS name)
SELECT 'constraint', pg_get_constraintdef(c.oid), conname::text FROM t, pg_constraint c
WHERE conrelid = t.oid AND contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT 'unique index', substr(d, strpos(d, ' ON ' || t.name || ' ') + length(' ON ' || t.name || ' ')),
       i.indexrelid::regclass::text
FROM t, pg_index i, pg_get_indexdef(i.indexrelid) d
WHERE i.indrelid = t.oid AND i.indisunique AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
UNION ALL
SELECT 'trigger', replace(pg_get_triggerdef(g.oid), ' ON ' || t.name || ' ', ' ') || ' / ' || g.tgenabled::text, tgname::text
FROM t, pg_trigger g WHERE tgrelid = t.oid AND NOT tgisinternal
UNION ALL
SELECT 'policy', concat_ws(' ', polpermissive, polcmd, array_to_string(ARRAY(SELECT unnest(polroles)::regrole::text
       ORDER BY 1), ','), pg_get_expr(polqual, polrelid), '/', pg_get_expr(polwithcheck, polrelid)), polname::text
FROM t, pg_policy WHERE polrelid = t.oid
UNION ALL
SELECT 'rule', replace(pg_get_ruledef(r.oid), t.name, '?'), rulename::text FROM t, pg_rewrite r WHERE ev_class = t.oid
UNION ALL
SELECT 'publication', pubname::text, pubname::text
FROM t, pg_publication_rel r JOIN pg_publication p ON p.oid = prpubid WHERE prrelid = t.oid
UNION ALL
SELECT 'statistics', replace(split_part(pg_get_statisticsobjdef(s.oid), ' ON ', 2), ' FROM ' || t.name, ''), s.stxname::text
FROM t, pg_statistic_ext s WHERE stxrelid = t.oid
)sql";

const char kDependents[] = R"sql(
WITH t AS (SELECT c.oid, c.reltype, c.reltoastrelid, y.typarray FROM pg_class c JOIN pg_type y ON y.oid = c.reltype
           WHERE c.oid = to_regclass($1))
SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) FROM t, pg_depend d
WHERE ((d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid)
       OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.reltype, t.typarray)))
  AND NOT CASE d.classid
      WHEN 'pg_class'::regclass THEN d.objid IN (t.oid, t.reltoastrelid)
           OR EXISTS (SELECT FROM pg_index WHERE indexrelid = d.objid AND indrelid = t.oid)
      WHEN 'pg_type'::regclass THEN d.objid IN (t.reltype, t.typarray)
      WHEN 'pg_attrdef'::regclass THEN EXISTS (SELECT FROM pg_attrdef WHERE oid = d.objid AND adrelid = t.oid)
      WHEN 'pg_constraint'::regclass THEN EXISTS (SELECT FROM pg_constraint WHERE oid = d.objid AND conrelid = t.oid)
      WHEN 'pg_trigger'::regclass THEN EXISTS (SELECT FROM pg_trigger WHERE oid = d.objid AND tgrelid = t.oid)
      WHEN 'pg_policy'::regclass THEN EXISTS (SELECT FROM pg_policy WHERE oid = d.objid AND polrelid = t.oid)
      WHEN 'pg_rewrite'::regclass THEN EXISTS (
           SELECT FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class
           WHERE r.oid = d.objid AND (r.ev_class = t.oid OR (v.relkind = 'v' AND r.rulename = '_RETURN' AND v.relpersistence <> 't')))
      WHEN 'pg_publication_rel'::regclass THEN true
      WHEN 'pg_statistic_ext'::regclass THEN true
      ELSE false END
)sql";

const char kIndexes[] = R"sql(
SELECT c.relname::text, substr(d, strpos(d, ' ON ' || r.name || ' ') + length(' ON ' || r.name)),
       CASE WHEN i.indisunique THEN 'unique' ELSE '' END, CASE WHEN k.oid IS NULL THEN '' ELSE 'constraint' END
FROM (SELECT to_regclass($1) AS oid, to_regclass($1)::text AS name) r JOIN pg_index i ON i.indrelid = r.oid
JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = r.oid,
pg_get_indexdef(i.indexrelid) d WHERE i.indisvalid ORDER BY 1
)sql";

const char kConstraintNames[] = R"sql(
SELECT DISTINCT ON (l.conname) l.conname::text, s.conname::text FROM pg_constraint l JOIN pg_constraint s
  ON l.contype = s.contype AND pg_get_constraintdef(l.oid) = pg_get_constraintdef(s.oid)
WHERE l.conrelid = to_regclass($1) AND s.conrelid = to_regclass($2) AND l.contype IN ('c', 'f') AND l.conname <> s.conname
ORDER BY l.conname, s.conname
)sql";

const char kOwner[] = R"sql(
SELECT format('ALTER TABLE %s OWNER TO %I', s.oid::regclass, pg_get_userbyid(l.relowner)) FROM pg_class l, pg_class s
WHERE l.oid = to_regclass($1) AND s.oid = to_regclass($2) AND l.relowner <> s.relowner
)sql";

// Rights that the live table has by default (no list of them) are the owner's, who has them anyway.
const char kOutfit[] = R"sql(
WITH l AS (SELECT * FROM pg_class WHERE oid = to_regclass($1)),
     s AS (SELECT * FROM pg_class WHERE oid = to_regclass($2)),
     roles AS (SELECT 0::oid AS oid, 'PUBLIC' AS name UNION ALL SELECT oid, quote_ident(rolname) FROM pg_roles),
     columns AS (SELECT a.attname, a.attnum AS of_l, b.attnum AS of_s, a.attacl, b.atthasdef
                 FROM l JOIN pg_attribute a ON a.attrelid = l.oid, s JOIN pg_attribute b ON b.attrelid = s.oid
                 WHERE a.attname = b.attname AND a.attnum > 0 AND NOT a.attisdropped AND NOT b.attisdropped)
SELECT statement FROM (
  SELECT 1 AS turn, format('REVOKE ALL ON %s FROM %s', s.oid::regclass, roles.name) AS statement
  FROM s, aclexplode(s.relacl) a JOIN roles ON roles.oid = a.grantee WHERE a.grantee <> s.relowner
  UNION
  SELECT 1, format('REVOKE ALL ON %s FROM %s', s.oid::regclass, roles.name)
  FROM s JOIN pg_attribute c ON c.attrelid = s.oid, aclexplode(c.attacl) a JOIN roles ON roles.oid = a.grantee
  WHERE a.grantee <> s.relowner
  UNION
  SELECT 2, format('GRANT %s ON %s TO %s%s', a.privilege_type, s.oid::regclass, roles.name,
                   CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM l, s, aclexplode(l.relacl) a JOIN roles ON roles.oid = a.grantee WHERE a.grantee <> l.relowner
  UNION
  SELECT 2, format('GRANT %s (%I) ON %s TO %s%s', a.privilege_type, c.attname, s.oid::regclass, roles.name,
                   CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM s, columns c, aclexplode(c.attacl) a JOIN roles ON roles.oid = a.grantee
  UNION
  SELECT 3, format('COMMENT ON TABLE %s IS %L', s.oid::regclass, obj_description(l.oid, 'pg_class')) FROM l, s
  UNION
  SELECT 3, format('COMMENT ON COLUMN %s.%I IS %L', s.oid::regclass, c.attname, col_description(l.oid, c.of_l))
  FROM l, s, columns c
  UNION
  SELECT 3, format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', s.oid::regclass, c.attname,
                   pg_get_expr(d.adbin, d.adrelid))
  FROM l, s, columns c JOIN pg_attrdef d ON d.adnum = c.of_l
  WHERE d.adrelid = l.oid AND NOT c.atthasdef
  UNION
  SELECT 3, format('ALTER TABLE %s SET (%s)', s.oid::regclass, array_to_string(l.reloptions, ', '))
  FROM l, s WHERE l.reloptions IS NOT NULL
  UNION
  SELECT 3, format('ALTER TABLE %s REPLICA IDENTITY %s', s.oid::regclass,
                   CASE l.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE 'DEFAULT' END)
  FROM l, s WHERE l.relreplident <> 'i' AND l.relreplident <> s.relreplident
) AS statements ORDER BY turn, statement
)sql";

const char kViews[] = R"sql(
SELECT DISTINCT v.oid::regclass::text, quote_ident(pg_get_userbyid(v.relowner))
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass($1)
  AND v.relkind = 'v' AND v.relpersistence <> 't' ORDER BY 1
)sql";

const char kViewsAnew[] = R"sql(
SELECT DISTINCT format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass,
       ' WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid))
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass($1)
  AND v.relkind = 'v' AND v.relpersistence <> 't'
)sql";

const char kHolders[] = R"sql(
SELECT DISTINCT 'process ' || l.pid || coalesce(' of ' || a.usename, '') ||
       coalesce(' (' || nullif(a.application_name, '') || ')', '')
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.relation = to_regclass($1) AND l.granted AND l.pid <> pg_backend_pid() LIMIT 5
)sql";

}  // namespace tidemark::swap_catalog
