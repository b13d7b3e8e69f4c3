#include "drivers/postgres/facts.h"

#include "drivers/postgres/conn.h"

static const char *opt(const json_t *j, const char *key) { return js_opt_str(j, key, NULL); }

static const json_t *opt_array(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return json_is_array(v) ? v : NULL;
}

static int64_t opt_int(const json_t *j, const char *key, int64_t otherwise)
{
	const json_t *v = json_object_get(j, key);

	return json_is_integer(v) ? (int64_t)json_integer_value(v) : otherwise;
}

static enum status check_columns(const json_t *columns, struct error *err)
{
	size_t i;
	json_t *name;

	json_array_foreach(columns, i, name)
		if (!json_is_string(name))
			return error_set(err, ST_BAD, "facts of a table: a column without a name");
	return ST_OK;
}

enum status facts_table(const json_t *facts, struct facts_table *t, struct error *err)
{
	static const char what[] = "facts of a table";
	const char *class, *format;
	json_t *columns = NULL;

	*t = (struct facts_table){0};
	if (js_str(facts, what, "class", &class, err) || js_str(facts, what, "encoding", &t->encoding, err) ||
	    js_str(facts, what, "format", &format, err))
		return err->code;
	t->large_objects = !strcmp(class, PG_CLASS_LARGE_OBJECTS);
	if (!t->large_objects && strcmp(class, PG_CLASS_TABLE))
		return error_set(err, ST_UNSUPPORTED, "facts of a table: this drtool does not know the class \"%s\"", class);
	if (strcmp(format, "text"))
		return error_set(err, ST_UNSUPPORTED, "facts of a table: this drtool does not know the format \"%s\"", format);
	t->ranges = js_opt_u64(facts, "ranges", 1);
	if (t->large_objects)
		return ST_OK;
	if (js_str(facts, what, "schema", &t->schema, err) || js_str(facts, what, "name", &t->name, err) ||
	    js_arr(facts, what, "columns", &columns, err) || check_columns(columns, err))
		return err->code;
	t->columns = columns;
	t->where = opt(facts, "where");
	t->extension = opt(facts, "extension");
	t->unlogged = !strcmp(js_opt_str(facts, "persistence", "p"), "u");
	t->replace = js_opt_bool(facts, "replace", false);
	t->rls = js_opt_bool(facts, "rls", false);
	const json_t *parent = json_object_get(facts, "parent");
	if (parent &&
	    (js_str(parent, what, "schema", &t->parent_schema, err) || js_str(parent, what, "name", &t->parent_name, err)))
		return err->code;
	return ST_OK;
}

void facts_columns(const struct facts_table *t, struct buf *to)
{
	size_t i;
	json_t *name;

	json_array_foreach(t->columns, i, name) {
		buf_puts(to, i ? ", " : "(");
		sql_ident(to, json_string_value(name));
	}
	if (json_array_size(t->columns))
		buf_putc(to, ')');
}

enum status facts_database(const json_t *j, struct facts_database *d, struct error *err)
{
	static const char what[] = PG_ENTRY_DATABASE;

	*d = (struct facts_database){0};
	if (js_str(j, what, "name", &d->name, err) || js_str(j, what, "owner", &d->owner, err) ||
	    js_str(j, what, "encoding", &d->encoding, err) || js_str(j, what, "collate", &d->collate, err) ||
	    js_str(j, what, "ctype", &d->ctype, err) || js_str(j, what, "provider", &d->provider, err) ||
	    js_str(j, what, "tablespace", &d->tablespace, err) || js_str(j, what, "server_version", &d->server_version, err) ||
	    js_u64(j, what, "server_version_num", &d->server_version_num, err))
		return err->code;
	d->locale = opt(j, "locale");
	d->icu_rules = opt(j, "icu_rules");
	d->collation_version = opt(j, "collation_version");
	d->connection_limit = opt_int(j, "connection_limit", -1);
	d->allow_connections = js_opt_bool(j, "allow_connections", true);
	d->is_template = js_opt_bool(j, "is_template", false);
	d->acl = opt_array(j, "acl");
	d->comment = opt(j, "comment");
	d->settings = opt_array(j, "settings");
	d->extensions = opt_array(j, "extensions");
	d->roles = opt_array(j, "roles");
	d->large_objects = json_object_get(j, "large_objects");
	d->public_schema = js_opt_bool(j, "public_schema", true);
	return ST_OK;
}

enum status facts_role(const json_t *j, struct facts_role *r, struct error *err)
{
	static const char what[] = PG_ENTRY_ROLES;

	*r = (struct facts_role){0};
	if (js_str(j, what, "name", &r->name, err))
		return err->code;
	r->superuser = js_opt_bool(j, "superuser", false);
	r->inherit = js_opt_bool(j, "inherit", true);
	r->createrole = js_opt_bool(j, "createrole", false);
	r->createdb = js_opt_bool(j, "createdb", false);
	r->canlogin = js_opt_bool(j, "canlogin", false);
	r->replication = js_opt_bool(j, "replication", false);
	r->bypassrls = js_opt_bool(j, "bypassrls", false);
	r->connection_limit = opt_int(j, "connection_limit", -1);
	r->valid_until = opt(j, "valid_until");
	r->password = opt(j, "password");
	r->comment = opt(j, "comment");
	r->member_of = opt_array(j, "member_of");
	r->settings = opt_array(j, "settings");
	return ST_OK;
}
