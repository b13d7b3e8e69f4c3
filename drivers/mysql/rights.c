#include "drivers/mysql/server.h"

#include <strings.h>

/* One GRANT, or a partial REVOKE, on all databases or those that fit a pattern. */
struct grant {
	char *pattern; /* of databases, with % and _; NULL: *.* */
	char *grantee; /* as it stands there, after TO; NULL: not known */
	bool revoked;
	struct strlist privilege; /* upper case */
};
struct my_rights {
	struct grant *grant;
	size_t n;
};

/* What servers and versions call alike. */
static const char *const alias[][2] = {
	{"ALL", "ALL PRIVILEGES"},
	{"REPLICATION CLIENT", "BINLOG MONITOR"},
	{"REPLICA MONITOR", "SLAVE MONITOR"},
	{"REPLICATION REPLICA", "REPLICATION SLAVE"},
	{"REPLICATION REPLICA ADMIN", "REPLICATION SLAVE ADMIN"},
	{"DELETE VERSIONING ROWS", "DELETE HISTORY"},
};

static const char *normal(const char *privilege)
{
	for (size_t i = 0; i < ARRAY_LEN(alias); i++)
		if (!strcasecmp(privilege, alias[i][0]))
			return alias[i][1];
	return privilege;
}

struct my_rights *my_rights_new(void) { return xcalloc(1, sizeof(struct my_rights)); }

void my_rights_freep(struct my_rights **to)
{
	struct my_rights *r = *to;

	*to = NULL;
	for (size_t i = 0; r && i < r->n; i++) {
		free(r->grant[i].pattern);
		free(r->grant[i].grantee);
		strlist_release(&r->grant[i].privilege);
	}
	if (r)
		free(r->grant);
	free(r);
}

/* ---- a line of SHOW GRANTS ---- */

static bool take_word(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(*p, word, n))
		return false;
	*p += n;
	return true;
}

/* A quoted name, or a '*'. NULL: neither. */
static char *take_name(const char **p)
{
	struct buf name = BUF_INIT;
	const char *s = *p, quote = *s;

	if (quote == '*') {
		++*p;
		return xstrdup("*");
	}
	if (quote != '`' && quote != '"' && quote != '\'')
		return NULL;
	for (s++; *s && (*s != quote || s[1] == quote); s++) {
		s += *s == quote;
		buf_putc(&name, *s);
	}
	*p = s + (*s == quote);
	return buf_detach(&name);
}

/* "SELECT (`a`, `b`), SHOW VIEW" up to " ON ". A privilege on columns is none on the database. */
static bool take_privileges(const char **at, struct strlist *to)
{
	const char *p = *at;

	for (;;) {
		size_t n = strcspn(p, ",(");
		const char *on = strcasestr(p, " ON ");

		if (on && on < p + n)
			n = (size_t)(on - p);
		CLEANUP(cstr_release) char *one = xstrndup(p, n);
		for (size_t end = strlen(one); end && one[end - 1] == ' ';)
			one[--end] = 0;
		p += n;
		if (*p == '(') {
			while (*p && *p != ')') {
				CLEANUP(cstr_release) char *column = take_name(&p);

				p += !column && *p;
			}
			p += *p == ')';
		} else {
			strlist_add(to, normal(one));
		}
		if (take_word(&p, " ON ")) {
			*at = p;
			return true;
		}
		if (*p != ',')
			return false;
		p += strspn(p, ", ");
	}
}

static bool parse(const char *p, struct grant *g)
{
	g->revoked = take_word(&p, "REVOKE ");
	if (!g->revoked && !take_word(&p, "GRANT "))
		return false;
	/* `role` TO ...: what an active role may do has lines of its own. */
	if (*p == '`' || *p == '\'' || *p == '"' || !take_privileges(&p, &g->privilege))
		return false;
	CLEANUP(cstr_release) char *database = take_name(&p);
	if (!database || *p++ != '.')
		return false;
	CLEANUP(cstr_release) char *table = take_name(&p);
	if (!table || strcmp(table, "*"))
		return false;
	const char *who = strcasestr(p, " TO "), *option = strcasestr(p, " WITH GRANT OPTION");
	if (who && !g->revoked)
		g->grantee = option > who ? xstrndup(who, (size_t)(option - who)) : xstrdup(who);
	if (option)
		strlist_add(&g->privilege, "GRANT OPTION");
	if (strcmp(database, "*")) {
		g->pattern = database;
		database = NULL;
	}
	return true;
}

void my_rights_line(struct my_rights *r, const char *line)
{
	struct grant g = {NULL, NULL, false, STRLIST_INIT};

	if (!parse(line, &g)) {
		free(g.pattern);
		free(g.grantee);
		strlist_release(&g.privilege);
		return;
	}
	r->grant = xrealloc(r->grant, (r->n + 1) * sizeof *r->grant);
	r->grant[r->n++] = g;
}

static enum status take_line(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields, struct error *err UNUSED)
{
	if (fields && field[0])
		my_rights_line(ctx, field[0]);
	return ST_OK;
}

enum status my_rights_read(struct run *run, struct my_conn *c, struct my_rights **to, struct error *err)
{
	CLEANUP(my_rights_freep) struct my_rights *r = my_rights_new();
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	*to = NULL;
	/* Without FOR: with what active roles give. */
	if (my_conn_each(run, c, "SHOW GRANTS", take_line, r, err))
		return error_add(err, "the rights of this account");
	if (c->mariadb && c->version >= 101100 && my_conn_each(run, c, "SHOW GRANTS FOR PUBLIC", take_line, r, &ignored) &&
	    !my_conn_errno(&ignored))
		return error_move(err, &ignored);
	*to = r;
	r = NULL;
	return ST_OK;
}

/* ---- questions ---- */

/* % any, _ one byte, \ takes the next as it is. */
static bool fits(const char *pattern, const char *name)
{
	for (; *pattern; pattern++, name++) {
		if (*pattern == '%') {
			for (;; name++)
				if (fits(pattern + 1, name))
					return true;
				else if (!*name)
					return false;
		}
		if (*pattern == '\\' && pattern[1])
			pattern++;
		else if (*pattern == '_' && *name)
			continue;
		if (*pattern != *name)
			return false;
	}
	return !*name;
}

static bool holds(const struct grant *g, const char *privilege)
{
	if (strlist_has(&g->privilege, "ALL PRIVILEGES") && strcasecmp(privilege, "GRANT OPTION"))
		return true;
	for (size_t i = 0; i < g->privilege.len; i++)
		if (!strcasecmp(g->privilege.item[i], privilege))
			return true;
	return false;
}

/* Where the first wildcard stands: the later, the narrower. */
static size_t narrowness(const char *pattern)
{
	size_t n = 0;

	for (; *pattern && *pattern != '%' && *pattern != '_'; pattern++, n++)
		pattern += *pattern == '\\' && pattern[1];
	return *pattern ? n : SIZE_MAX;
}

/* Of the patterns under which one account or role has rights, the server takes the narrowest alone. */
static bool is_narrowest(const struct my_rights *r, const struct grant *g, const char *database)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct grant *other = &r->grant[i];

		if (other->pattern && !other->revoked && other->grantee && g->grantee && !strcmp(other->grantee, g->grantee) &&
		    narrowness(other->pattern) > narrowness(g->pattern) && fits(other->pattern, database))
			return false;
	}
	return true;
}

void my_rights_place(const struct my_rights *r, const char *database, struct buf *to)
{
	CLEANUP(buf_release) struct buf name = BUF_INIT;

	for (size_t i = 0; i < r->n && !name.len; i++) {
		const struct grant *g = &r->grant[i];

		if (g->pattern && !g->revoked && g->grantee && strchr(g->grantee, '@') && fits(g->pattern, database) &&
		    is_narrowest(r, g, database))
			buf_puts(&name, g->pattern);
	}
	for (const char *p = name.len ? "" : database; *p; p++)
		buf_printf(&name, "%s%c", strchr("_%\\", *p) ? "\\" : "", *p);
	my_sql_ident(to, buf_str(&name));
	buf_puts(to, ".*");
}

bool my_rights_have(const struct my_rights *r, const char *privilege, const char *database)
{
	bool have = false;

	privilege = normal(privilege);
	for (size_t i = 0; i < r->n; i++) {
		const struct grant *g = &r->grant[i];

		if (!g->revoked && holds(g, privilege) && (!g->pattern || (database && fits(g->pattern, database) && is_narrowest(r, g, database))))
			have = true;
	}
	for (size_t i = 0; i < r->n && have; i++) {
		const struct grant *g = &r->grant[i];

		/* A partial revoke: *.* holds everywhere else. */
		if (g->revoked && g->pattern && holds(g, privilege) && database && !strcmp(g->pattern, database))
			have = false;
	}
	return have;
}

bool my_system_database(const char *name)
{
	static const char *const names[] = {"mysql", "sys", "information_schema", "performance_schema", "#mysql50#lost+found"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcasecmp(name, names[i]))
			return true;
	return false;
}
