#include "drivers/postgres/inventory.h"

/* A number of 60 bits made of a text, the same on every server. */
#define NUMBER(text) "('x' || left(md5(" text "), 15))::bit(60)::bigint"

#define RIGHTS(acl) \
	"(SELECT string_agg(concat(x.grantee::regrole, '=', x.privilege_type, CASE WHEN x.is_grantable THEN '*' END), ','" \
	" ORDER BY x.grantee::regrole::text COLLATE \"C\", x.privilege_type) FROM aclexplode(" acl ") x)"

/* regcollation is younger than 12. */
#define COLLATION(id) "(SELECT format('%I.%I', cn.nspname, co.collname) FROM pg_collation co" \
	" JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = " id ")"

/* What has an owner, and mostly rights: kind, name, owner, letter of its default rights, rights. */
#define OWNED                                                                                                                      \
	"(SELECT 'relation', format('%I.%I', n.nspname, c.relname), c.relowner, CASE WHEN c.relkind = 'S' THEN 's'" \
	" ELSE 'r' END::\"char\", c.relacl" \
	"  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')" \
	"  AND c.relpersistence <> 't' AND" USER_SCHEMA("n") " AND" MINE("pg_class", "c.oid") \
	" UNION ALL SELECT 'function', p.oid::regprocedure::text, p.proowner, 'f', p.proacl FROM pg_proc p" \
	"  JOIN pg_namespace n ON n.oid = p.pronamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_proc", "p.oid") \
	/* The constructor of a range comes with its type. */ \
	"  AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')" \
	" UNION ALL SELECT 'schema', format('%I', n.nspname), n.nspowner, 'n', n.nspacl FROM pg_namespace n" \
	"  WHERE" USER_SCHEMA("n") " AND" MINE("pg_namespace", "n.oid") \
	" UNION ALL SELECT 'type', format('%I.%I', n.nspname, t.typname), t.typowner, 'T', t.typacl FROM pg_type t" \
	"  JOIN pg_namespace n ON n.oid = t.typnamespace WHERE" USER_SCHEMA("n") " AND t.typelem = 0" \
	" AND t.typtype IN ('b', 'c', 'd', 'e', 'r')" \
	"  AND (t.typrelid = 0 OR (SELECT c.relkind FROM pg_class c WHERE c.oid = t.typrelid) = 'c') AND" MINE("pg_type", "t.oid") \
	" UNION ALL SELECT 'language', format('%I', lanname), lanowner, 'l', lanacl FROM pg_language l" \
	" WHERE l.oid >= 16384 AND" MINE("pg_language", "l.oid") \
	" UNION ALL SELECT 'foreign data wrapper', format('%I', fdwname), fdwowner, 'F', fdwacl" \
	" FROM pg_foreign_data_wrapper f WHERE" \
	MINE("pg_foreign_data_wrapper", "f.oid") \
	" UNION ALL SELECT 'server', format('%I', srvname), srvowner, 'S', srvacl" \
	" FROM pg_foreign_server s WHERE" MINE("pg_foreign_server", "s.oid") \
	" UNION ALL SELECT 'operator', o.oid::regoperator::text, o.oprowner, NULL, NULL FROM pg_operator o" \
	"  JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_operator", "o.oid") \
	" UNION ALL SELECT 'operator class', format('%I.%I using %s', n.nspname, o.opcname, m.amname), o.opcowner, NULL, NULL" \
	" FROM pg_opclass o" \
	"  JOIN pg_am m ON m.oid = o.opcmethod JOIN pg_namespace n ON n.oid = o.opcnamespace" \
	" WHERE" USER_SCHEMA("n") " AND" MINE("pg_opclass", "o.oid") \
	" UNION ALL SELECT 'collation', format('%I.%I', n.nspname, o.collname), o.collowner, NULL, NULL FROM pg_collation o" \
	"  JOIN pg_namespace n ON n.oid = o.collnamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_collation", "o.oid") \
	" UNION ALL SELECT 'conversion', format('%I.%I', n.nspname, o.conname), o.conowner, NULL, NULL FROM pg_conversion o" \
	"  JOIN pg_namespace n ON n.oid = o.connamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_conversion", "o.oid") \
	" UNION ALL SELECT 'dictionary', format('%I.%I', n.nspname, o.dictname), o.dictowner, NULL, NULL FROM pg_ts_dict o" \
	"  JOIN pg_namespace n ON n.oid = o.dictnamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_ts_dict", "o.oid") \
	" UNION ALL SELECT 'search configuration', format('%I.%I', n.nspname, o.cfgname), o.cfgowner, NULL, NULL" \
	" FROM pg_ts_config o" \
	"  JOIN pg_namespace n ON n.oid = o.cfgnamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_ts_config", "o.oid") \
	" UNION ALL SELECT 'statistics', format('%I.%I', n.nspname, o.stxname), o.stxowner, NULL, NULL FROM pg_statistic_ext o" \
	"  JOIN pg_namespace n ON n.oid = o.stxnamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_statistic_ext", "o.oid") \
	" UNION ALL SELECT 'publication', format('%I', pubname), pubowner, NULL, NULL" \
	" FROM pg_publication p WHERE" MINE("pg_publication", "p.oid") \
	" UNION ALL SELECT 'event trigger', format('%I', evtname), evtowner, NULL, NULL" \
	" FROM pg_event_trigger t WHERE" MINE("pg_event_trigger", "t.oid") \
	") o(kind, name, owner, letter, acl)"

/* From the columns, since pg_get_functiondef would describe what a function has become after the snapshot. */
#define FUNCTION_SQL(body) \
	"SELECT p.oid::regprocedure::text, concat_ws(' ', p.prokind, l.lanname, pg_get_function_result(p.oid)," \
	" pg_get_function_arguments(p.oid)," \
	" p.provolatile, p.proparallel, p.procost, p.prorows, CASE WHEN p.proisstrict THEN 'strict' END, CASE WHEN p.prosecdef" \
	" THEN 'definer' END," \
	" CASE WHEN p.proleakproof THEN 'leakproof' END, nullif(p.prosupport::text, '-'), p.probin, 'set ' ||" \
	" " OPTIONS("p.proconfig") "," \
	" md5(concat(p.prosrc, " body "))) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace" \
	" JOIN pg_language l ON l.oid = p.prolang" \
	" WHERE" USER_SCHEMA("n") " AND p.prokind <> 'a' AND" MINE("pg_proc", "p.oid") \
	" AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')"

/* more: columns that came with later versions. */
#define PUBLICATION_SQL(more)                                                                                                     \
	"SELECT format('%I', p.pubname), concat_ws(' ', CASE WHEN p.puballtables THEN 'all tables' END, CASE WHEN p.pubinsert" \
	" THEN 'insert' END," \
	" CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate" \
	" THEN 'truncate' END," more ")" \
	" FROM pg_publication p WHERE" MINE("pg_publication", "p.oid")

const struct inventory_question inventory_objects[] = {
	/* The name is that of the copy, so it is left out. */
	{"database", 0, 150000,
	 "SELECT 'this', concat_ws(' ', pg_encoding_to_char(encoding), datcollate, datctype, shobj_description(oid, 'pg_database'))"
	 " FROM pg_database WHERE datname = current_database()"},
	{"database", 150000, 0,
	 "SELECT 'this', concat_ws(' ', pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider,"
	 " coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'), to_jsonb(d)->>'daticurules', shobj_description(oid,"
	 " 'pg_database'))"
	 " FROM pg_database d WHERE datname = current_database()"},
	{"database setting", 0, 0,
	 "SELECT concat_ws(' ', s.setrole::regrole, split_part(v, '=', 1)), substr(v, strpos(v, '=') + 1)"
	 " FROM pg_db_role_setting s, unnest(s.setconfig) v"
	 " WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"},
	{"extension", 0, 0,
	 "SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"},
	{"schema", 0, 0, "SELECT format('%I', n.nspname), '' FROM pg_namespace n"
	" WHERE" USER_SCHEMA("n") " AND" MINE("pg_namespace", "n.oid")},
	{"owner", 0, 0, "SELECT o.kind || ' ' || o.name, o.owner::regrole FROM " OWNED},
	/* Rights that say the same as none do not count. */
	{"rights", 0, 0,
	 "SELECT o.kind || ' ' || o.name, coalesce(r.is, 'none') FROM " OWNED ", LATERAL (SELECT " RIGHTS("o.acl") " AS is, "
	 RIGHTS("acldefault(o.letter, o.owner)") " AS usual) r WHERE o.acl IS NOT NULL AND r.is IS DISTINCT FROM r.usual"},
	{"rights", 0, 0,
	 "SELECT format('column %I.%I.%I', n.nspname, c.relname, a.attname), " RIGHTS("a.attacl") " FROM pg_attribute a"
	 " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE" USER_SCHEMA("n")
	 " AND a.attacl IS NOT NULL AND a.attacl <> '{}' AND NOT a.attisdropped AND" MINE("pg_class", "c.oid")},
	{"rights", 0, 0,
	 "SELECT 'database', coalesce(r.is, 'none') FROM pg_database d, LATERAL (SELECT " RIGHTS("d.datacl") " AS is,"
	 " " RIGHTS("acldefault('d', d.datdba)")
	 " AS usual) r WHERE d.datname = current_database() AND d.datacl IS NOT NULL AND r.is IS DISTINCT FROM r.usual"},
	{"default rights", 0, 0,
	 "SELECT concat_ws(' ', d.defaclrole::regrole, CASE WHEN d.defaclnamespace <> 0"
	 " THEN d.defaclnamespace::regnamespace::text END, d.defaclobjtype), "
	 "coalesce(" RIGHTS("d.defaclacl") ", 'none') FROM pg_default_acl d"},
	{"role", 0, 0,
	 "SELECT DISTINCT q.name, '' FROM (SELECT o.owner::regrole::text FROM " OWNED
	 " UNION ALL SELECT x.grantee::regrole::text FROM " OWNED ", aclexplode(o.acl) x"
	 " UNION ALL SELECT r::regrole::text FROM pg_policy p, unnest(p.polroles) r) q(name) WHERE q.name <> '-'"},
	{"function", 0, 140000, FUNCTION_SQL("NULL")},
	{"function", 140000, 0, FUNCTION_SQL("CASE WHEN p.prosqlbody IS NOT NULL THEN pg_get_function_sqlbody(p.oid) END")},
	{"aggregate", 0, 0,
	 "SELECT p.oid::regprocedure::text, concat_ws(' ', a.aggkind, a.aggtransfn::text, a.aggfinalfn::text,"
	 " a.aggcombinefn::text, a.aggserialfn::text,"
	 " a.aggdeserialfn::text, a.aggmtransfn::text, a.aggminvtransfn::text, a.aggmfinalfn::text, a.aggtranstype::regtype,"
	 " a.aggsortop::regoperator,"
	 " a.agginitval, a.aggminitval, a.aggfinalmodify, p.proparallel) FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid"
	 " JOIN pg_namespace n ON n.oid = p.pronamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_proc", "p.oid")},
	{"enum", 0, 0,
	 "SELECT format('%I.%I', n.nspname, t.typname), (SELECT string_agg(quote_literal(e.enumlabel), ','"
	 " ORDER BY e.enumsortorder)"
	 " FROM pg_enum e WHERE e.enumtypid = t.oid) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
	 " WHERE t.typtype = 'e' AND" USER_SCHEMA("n") " AND" MINE("pg_type", "t.oid")},
	{"domain", 0, 0,
	 "SELECT format('%I.%I', n.nspname, t.typname), concat_ws(' ', format_type(t.typbasetype, t.typtypmod),"
	 " CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || pg_get_expr(t.typdefaultbin, 0),"
	 " CASE WHEN t.typcollation <> b.typcollation THEN 'collate ' || " COLLATION("t.typcollation") " END,"
	 " (SELECT string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid) || CASE WHEN k.convalidated THEN ''"
	 " ELSE ' not validated' END, ','"
	 "  ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid))"
	 " FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype JOIN pg_namespace n ON n.oid = t.typnamespace"
	 " WHERE t.typtype = 'd' AND" USER_SCHEMA("n") " AND" MINE("pg_type", "t.oid")},
	{"range type", 0, 0,
	 "SELECT format('%I.%I', n.nspname, t.typname), concat_ws(' ', r.rngsubtype::regtype, o.opcname,"
	 " " COLLATION("r.rngcollation") ","
	 " r.rngcanonical::text, r.rngsubdiff::text) FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid"
	 " JOIN pg_opclass o ON o.oid = r.rngsubopc"
	 " JOIN pg_namespace n ON n.oid = t.typnamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_type", "t.oid")},
	{"type", 0, 0,
	 "SELECT format('%I.%I', n.nspname, t.typname), concat_ws(' ', t.typtype, t.typlen, t.typbyval, t.typalign, t.typstorage,"
	 " t.typcategory,"
	 " t.typispreferred, t.typdelim, t.typinput::text, t.typoutput::text, t.typreceive::text, t.typsend::text, t.typdefault)"
	 " FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE"
	 " (t.typtype = 'b' OR NOT t.typisdefined) AND t.typelem = 0 AND" USER_SCHEMA("n") " AND" MINE("pg_type", "t.oid")},
	{"cast", 0, 0,
	 "SELECT format('%s as %s', castsource::regtype, casttarget::regtype), concat_ws(' ', castcontext, castmethod,"
	 " castfunc::regprocedure)"
	 " FROM pg_cast c WHERE c.oid >= 16384 AND" MINE("pg_cast", "c.oid")},
	{"operator", 0, 0,
	 "SELECT o.oid::regoperator::text, concat_ws(' ', o.oprcode::text, o.oprresult::regtype, o.oprcom::regoperator,"
	 " o.oprnegate::regoperator,"
	 " o.oprrest::text, o.oprjoin::text, o.oprcanmerge, o.oprcanhash) FROM pg_operator o"
	 " JOIN pg_namespace n ON n.oid = o.oprnamespace"
	 " WHERE o.oprcode <> 0 AND" USER_SCHEMA("n") " AND" MINE("pg_operator", "o.oid")},
	{"operator class", 0, 0,
	 "SELECT format('%I.%I using %s', n.nspname, o.opcname, m.amname), concat_ws(' ', o.opcintype::regtype, o.opcdefault,"
	 " o.opckeytype::regtype,"
	 " f.opfname, (SELECT string_agg(concat_ws(' ', a.amopstrategy, a.amopopr::regoperator), ','"
	 " ORDER BY a.amopstrategy, a.amopopr::regoperator::text)"
	 "  FROM pg_amop a WHERE a.amopfamily = o.opcfamily), (SELECT string_agg(concat_ws(' ', a.amprocnum, a.amproc::text), ','"
	 "  ORDER BY a.amprocnum, a.amproc::text) FROM pg_amproc a WHERE a.amprocfamily = o.opcfamily))"
	 " FROM pg_opclass o JOIN pg_opfamily f ON f.oid = o.opcfamily JOIN pg_am m ON m.oid = o.opcmethod"
	 " JOIN pg_namespace n ON n.oid = o.opcnamespace"
	 " WHERE" USER_SCHEMA("n") " AND" MINE("pg_opclass", "o.oid")},
	{"operator family", 0, 0,
	 "SELECT format('%I.%I using %s', n.nspname, f.opfname, m.amname), '' FROM pg_opfamily f"
	 " JOIN pg_am m ON m.oid = f.opfmethod"
	 " JOIN pg_namespace n ON n.oid = f.opfnamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_opfamily", "f.oid")},
	{"collation", 0, 0,
	 "SELECT format('%I.%I', n.nspname, c.collname), concat_ws(' ', c.collprovider, c.collisdeterministic, c.collcollate,"
	 " c.collctype,"
	 " coalesce(j->>'colllocale', j->>'colliculocale'), j->>'collicurules') FROM pg_collation c"
	 " JOIN pg_namespace n ON n.oid = c.collnamespace,"
	 " to_jsonb(c) j WHERE" USER_SCHEMA("n") " AND" MINE("pg_collation", "c.oid")},
	{"conversion", 0, 0,
	 "SELECT format('%I.%I', n.nspname, c.conname), concat_ws(' ', pg_encoding_to_char(c.conforencoding),"
	 " pg_encoding_to_char(c.contoencoding),"
	 " c.conproc::text, c.condefault) FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE" USER_SCHEMA("n")
	 " AND" MINE("pg_conversion", "c.oid")},
	{"search parser", 0, 0,
	 "SELECT format('%I.%I', n.nspname, p.prsname), concat_ws(' ', p.prsstart::text, p.prstoken::text, p.prsend::text,"
	 " p.prsheadline::text,"
	 " p.prslextype::text) FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace"
	 " WHERE" USER_SCHEMA("n") " AND" MINE("pg_ts_parser", "p.oid")},
	{"search template", 0, 0,
	 "SELECT format('%I.%I', n.nspname, t.tmplname), concat_ws(' ', t.tmplinit::text, t.tmpllexize::text) FROM pg_ts_template t"
	 " JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_ts_template", "t.oid")},
	{"dictionary", 0, 0,
	 "SELECT format('%I.%I', n.nspname, d.dictname), concat_ws(' ', tn.nspname, t.tmplname, d.dictinitoption) FROM pg_ts_dict d"
	 " JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace tn ON tn.oid = t.tmplnamespace"
	 " JOIN pg_namespace n ON n.oid = d.dictnamespace"
	 " WHERE" USER_SCHEMA("n") " AND" MINE("pg_ts_dict", "d.oid")},
	{"search configuration", 0, 0,
	 "SELECT format('%I.%I', n.nspname, c.cfgname), concat_ws(' ', p.prsname, (SELECT string_agg(concat_ws(':',"
	 " m.maptokentype, m.mapdict::regdictionary), ','"
	 " ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = c.oid)) FROM pg_ts_config c"
	 " JOIN pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_namespace n ON n.oid = c.cfgnamespace"
	 " WHERE" USER_SCHEMA("n") " AND" MINE("pg_ts_config", "c.oid")},
	{"foreign data wrapper", 0, 0,
	 "SELECT fdwname, concat_ws(' ', fdwhandler::regproc, fdwvalidator::regproc, " OPTIONS("fdwoptions") ")"
	 " FROM pg_foreign_data_wrapper w WHERE"
	 MINE("pg_foreign_data_wrapper", "w.oid")},
	{"server", 0, 0,
	 "SELECT s.srvname, concat_ws(' ', w.fdwname, s.srvtype, s.srvversion, " OPTIONS("s.srvoptions") ")"
	 " FROM pg_foreign_server s"
	 " JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE" MINE("pg_foreign_server", "s.oid")},
	/* Options hold passwords: only a number made of them. */
	{"user mapping", 0, 0, "SELECT format('%s on %s', usename, srvname), md5(coalesce(" OPTIONS("umoptions") ", ''))"
	" FROM pg_user_mappings"},
	{"publication", 0, 130000, PUBLICATION_SQL("NULL")},
	{"publication", 130000, 180000, PUBLICATION_SQL("CASE WHEN p.pubviaroot THEN 'via root' END")},
	{"publication", 180000, 0, PUBLICATION_SQL("CASE WHEN p.pubviaroot"
	    " THEN 'via root' END, 'generated ' || p.pubgencols::text")},
	{"publication table", 0, 150000,
	 "SELECT format('%I %s', p.pubname, r.prrelid::regclass), '' FROM pg_publication_rel r"
	 " JOIN pg_publication p ON p.oid = r.prpubid"},
	{"publication table", 150000, 0,
	 "SELECT format('%I %s', p.pubname, r.prrelid::regclass), concat_ws(' ', 'where ' || pg_get_expr(r.prqual, r.prrelid),"
	 " 'columns ' ||"
	 " (SELECT string_agg(a.attname, ',' ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = r.prrelid"
	 " AND a.attnum = ANY (r.prattrs)))"
	 " FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid"},
	{"publication schema", 150000, 0,
	 "SELECT format('%I %s', p.pubname, s.pnnspid::regnamespace), '' FROM pg_publication_namespace s"
	 " JOIN pg_publication p ON p.oid = s.pnpubid"},
	/* A restored one is always disabled, so that is not compared. Only a superuser dumps them. */
	{"subscription", 0, 0,
	 "SELECT s.subname, (SELECT string_agg(p, ',' ORDER BY p) FROM unnest(s.subpublications) p) FROM pg_subscription s"
	 " WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND (SELECT rolsuper FROM pg_roles"
	 " WHERE rolname = current_user)"},
	{"event trigger", 0, 0,
	 "SELECT evtname, concat_ws(' ', evtevent, evtfoid::regprocedure, 'enabled ' || evtenabled::text, " OPTIONS("evttags") ")"
	 " FROM pg_event_trigger t WHERE"
	 MINE("pg_event_trigger", "t.oid")},
	{"language", 0, 0,
	 "SELECT lanname, concat_ws(' ', lanpltrusted, lanplcallfoid::regproc, laninline::regproc, lanvalidator::regproc)"
	 " FROM pg_language l"
	 " WHERE l.lanispl AND l.oid >= 16384 AND" MINE("pg_language", "l.oid")},
	{"transform", 0, 0,
	 "SELECT format('%s for %s', t.trftype::regtype, l.lanname), concat_ws(' ', t.trffromsql::regproc, t.trftosql::regproc)"
	 " FROM pg_transform t"
	 " JOIN pg_language l ON l.oid = t.trflang WHERE" MINE("pg_transform", "t.oid")},
	{"access method", 0, 0,
	 "SELECT amname, concat_ws(' ', amtype, amhandler::regproc) FROM pg_am a WHERE a.oid >= 16384 AND" MINE("pg_am", "a.oid")},
	{"comment", 0, 0,
	 "SELECT concat_ws(' ', i.type, i.identity), d.description FROM pg_description d, pg_identify_object(d.classoid, d.objoid,"
	 " d.objsubid) i"
	 " WHERE (d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass AND d.objoid = 2200)"
	 " AND d.classoid <> 'pg_largeobject'::regclass"
	 " AND i.identity IS NOT NULL AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid"
	 " AND e.deptype = 'e')"},
	{"security label", 0, 0,
	 "SELECT concat_ws(' ', provider, objtype, objname), label FROM pg_seclabels"
	 " WHERE objtype NOT IN ('database', 'tablespace', 'role', 'large object')"},
	/* There may be millions: one line for all that look alike. Their bytes are compared by digest. */
	{"large objects", 0, 0,
	 "SELECT concat_ws(' ', q.owner, q.rights), concat_ws(' ', count(*), sum(" NUMBER("q.oid::text") "))"
	 " FROM (SELECT m.oid, m.lomowner::regrole::text AS owner, "
	 RIGHTS("coalesce(m.lomacl, acldefault('L', m.lomowner))") " AS rights"
	 " FROM pg_largeobject_metadata m) q GROUP BY q.owner, q.rights"},
	{"comments on large objects", 0, 0,
	 "SELECT 'all', concat_ws(' ', count(*), sum(" NUMBER("concat(objoid, ' ', description)") ")) FROM pg_description"
	 " WHERE classoid = 'pg_largeobject'::regclass HAVING count(*) > 0"},
	{NULL, 0, 0, NULL},
};
