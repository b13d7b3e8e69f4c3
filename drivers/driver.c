#include "drivers/driver.h"

#ifdef HAVE_LIBPQ
extern const struct driver driver_postgres;
#endif
#ifdef HAVE_LIBMARIADB
extern const struct driver driver_mysql;
#endif
#ifdef HAVE_LIBMONGOC
extern const struct driver driver_mongodb;
#endif

const struct driver *const drivers[] = {
#ifdef HAVE_LIBPQ
	&driver_postgres,
#endif
#ifdef HAVE_LIBMARIADB
	&driver_mysql,
#endif
#ifdef HAVE_LIBMONGOC
	&driver_mongodb,
#endif
	NULL,
};

static bool scheme_is(const char *url, const char *scheme)
{
	size_t n = strlen(scheme);

	return !strncmp(url, scheme, n) && url[n] == ':';
}

enum status driver_for_url(const char *url, const struct driver **d, struct error *err)
{
	CLEANUP(buf_release) struct buf known = BUF_INIT;

	for (const struct driver *const *p = drivers; *p; p++)
		for (const char *const *s = (*p)->schemes; *s; s++) {
			if (scheme_is(url, *s)) {
				*d = *p;
				return ST_OK;
			}
			buf_printf(&known, "%s%s://", known.len ? ", " : "", *s);
		}
	error_set(err, ST_CONFIG, "no driver for a URL of this kind; there are %s", buf_str(&known));
	return error_hint(err, "`drtool --version` says what this build was made without.");
}

const struct driver *driver_named(const char *name)
{
	for (const struct driver *const *p = drivers; *p; p++)
		if (!strcmp((*p)->name, name))
			return *p;
	return NULL;
}

static bool matches(const struct strlist *patterns, const char *name) { return patterns && strlist_matches(patterns, name); }

bool dump_wants(const struct strlist *databases, const struct strlist *exclude, const char *of_url, const char *name)
{
	if (matches(exclude, name))
		return false;
	if (databases && databases->len)
		return matches(databases, name);
	return !of_url || !strcmp(of_url, name);
}

bool dump_must_have(const struct strlist *exclude, const char *item) { return !strpbrk(item, "*?[") && !matches(exclude, item); }

bool plan_has_log(const struct load_plan *p) { return p->scopes && p->scope[p->scopes - 1].log; }

size_t plan_databases(const struct load_plan *p) { return p->scopes - plan_has_log(p); }

void plan_line(struct strlist *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	CLEANUP(cstr_release) char *text = xvasprintf(fmt, ap);
	va_end(ap);
	strlist_add_once(to, text);
}

/* Each capability stands for a set of pointers: all there, or none. */
enum status driver_check(const struct driver *d, struct error *err)
{
	const struct {
		uint32_t cap;
		const char *name;
		bool all, any;
	} rule[] = {
		{DRIVER_DUMP, "dump",
		 d->dump_open && d->scope_begin && d->worker_open && d->dump_unit && d->worker_close && d->inventory && d->scope_end && d->dump_close,
		 d->dump_open || d->dump_entries || d->scope_begin || d->worker_open || d->dump_unit || d->worker_close || d->inventory || d->scope_end || d->dump_close},
		{DRIVER_LOAD, "load",
		 d->load_plan && d->load_open && d->load_choose && d->load_begin && d->load_wants && d->load_has_unit && d->load_worker_open && d->load_unit && d->load_worker_close &&
			 d->load_end && d->load_close,
		 d->load_plan || d->load_open || d->load_choose || d->load_begin || d->load_wants || d->load_has_unit || d->load_worker_open || d->load_unit || d->load_worker_close ||
			 d->load_end || d->load_close},
		{DRIVER_EXCHANGE, "exchange", d->exchange, d->exchange},
		{DRIVER_ASSERT, "assert", d->assert_query, d->assert_query},
		{DRIVER_SCRATCH, "scratch", d->scratch_start && d->scratch_stop, d->scratch_start || d->scratch_stop},
	};

	if (!d->name || !d->schemes || !d->schemes[0] || !d->probe || !d->interrupt || !d->grants)
		return error_set(err, ST_FAILED, "driver %s: name, schemes, probe, interrupt and grants are required", d->name ? d->name : "?");
	for (size_t i = 0; i < ARRAY_LEN(rule); i++) {
		bool claimed = d->caps & rule[i].cap;

		if (claimed ? !rule[i].all : rule[i].any)
			return error_set(err, ST_FAILED, "driver %s: capability %s and its functions disagree", d->name, rule[i].name);
	}
	return ST_OK;
}

static void strings_release(char *const *first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(first[i]);
}

void probe_release(struct probe *p)
{
	strings_release((char *[]){p->identity, p->version, p->role}, 3);
	for (size_t i = 0; i < p->databases; i++)
		free(p->database[i].name);
	free(p->database);
	strlist_release(&p->tools);
	strlist_release(&p->missing);
	strlist_release(&p->impossible);
	strlist_release(&p->limits);
	*p = (struct probe)PROBE_INIT;
}

void dump_info_release(struct dump_info *i)
{
	strings_release((char *[]){i->identity, i->version, i->role, i->oldest_client, i->restore_text}, 5);
	strlist_release(&i->scopes);
	strlist_release(&i->uncovered);
	strlist_release(&i->tools);
	strlist_release(&i->not_contained);
	js_decref(&i->replication);
	*i = (struct dump_info){0};
}

void scope_info_release(struct scope_info *i) { cstr_release(&i->position); }

void load_plan_release(struct load_plan *p)
{
	strings_release((char *[]){p->identity, p->version, p->confirm}, 3);
	for (size_t i = 0; i < p->scopes; i++) {
		struct load_scope_plan *s = &p->scope[i];

		strings_release((char *[]){s->scope, s->target, s->replaces, s->aside}, 4);
	}
	free(p->scope);
	strlist_release(&p->steps);
	strlist_release(&p->warnings);
	strlist_release(&p->refusals);
	strlist_release(&p->dropped);
	*p = (struct load_plan){0};
}
