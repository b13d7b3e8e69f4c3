#include "drivers/postgres/load.h"

struct picker {
	const struct load_wish *w;
	const struct toc *t;
	struct strlist there;  /* keys of what the target holds */
	struct load_selection *s;
	bool *table;           /* by index: a TABLE that is meant */
	size_t *todo, todos;   /* entries whose needs are not looked at yet */
};

static void picker_release(struct picker *p)
{
	strlist_release(&p->there);
	free(p->table);
	free(p->todo);
}

void load_selection_release(struct load_selection *s)
{
	free(s->pick);
	strlist_release(&s->left_out);
	strlist_release(&s->brought);
	*s = (struct load_selection)LOAD_SELECTION_INIT;
}

static size_t index_of(const struct toc *t, const struct toc_entry *e) { return (size_t)(e - t->entry); }
static bool is_table(const struct toc_entry *e) { return toc_is(e, "TABLE") || toc_is(e, "FOREIGN TABLE"); }

/* The table whose name the tag of a constraint, trigger, policy ... begins with. */
static const struct toc_entry *own_table(const struct toc *t, const struct toc_entry *e)
{
	const struct toc_entry *best = NULL;

	for (size_t i = 0; i < e->deps; i++) {
		const struct toc_entry *d = toc_by_id(t, e->dep[i]);
		size_t n = d ? strlen(d->tag) : 0;

		if (d && is_table(d) && !strcmp(d->schema, e->schema) && !strncmp(e->tag, d->tag, n) && e->tag[n] == ' ' &&
		    (!best || n > strlen(best->tag)))
			best = d;
	}
	return best;
}

static char *shown_name(const struct toc_entry *e)
{
	struct buf b = BUF_INIT;

	if (*e->schema) {
		sql_shown(&b, e->schema);
		buf_putc(&b, '.');
	}
	/* Tags of functions and constraints are more than a name. */
	if (strchr(e->tag, ' ') || strchr(e->tag, '('))
		buf_puts(&b, e->tag);
	else
		sql_shown(&b, e->tag);
	return buf_detach(&b);
}

static void leave_out(struct load_selection *s, const struct toc_entry *e, const struct toc_entry *other, const char *why)
{
	CLEANUP(cstr_release) char *mine = shown_name(e);
	CLEANUP(cstr_release) char *its = shown_name(other);

	strlist_take(&s->left_out, xasprintf("foreign key %s is not made: its table %s %s", mine, its, why));
}

/* ---- a whole database ---- */

static bool is_excluded(const struct load_wish *w, const struct toc_entry *e)
{
	CLEANUP(cstr_release) char *key = w->excluded.len ? xasprintf("%s\001%s", e->schema, e->tag) : NULL;

	return key && sorted_has(&w->excluded, key);
}

/* A foreign key to a table that comes without rows would not hold. */
static void keep_key(const struct load_wish *w, const struct toc *t, const struct toc_entry *e, struct load_selection *s)
{
	const struct toc_entry *own = own_table(t, e);

	for (size_t i = 0; w->excluded.len && i < e->deps; i++) {
		const struct toc_entry *d = toc_by_id(t, e->dep[i]);

		if (d && d != own && is_table(d) && is_excluded(w, d)) {
			s->pick[index_of(t, e)] = false;
			leave_out(s, e, d, "comes without rows");
			return;
		}
	}
}

/* The database itself, large objects and statistics are drtool's own business; some clients write them nevertheless. */
static bool is_done_elsewhere(const struct toc_entry *e)
{
	return !strncmp(e->desc, "DATABASE", 8) || !strncmp(e->desc, "BLOB", 4) || toc_is(e, "STATISTICS DATA") ||
	       !strncmp(e->tag, "LARGE OBJECT ", 13) || (!strncmp(e->tag, "DATABASE ", 9) && !*e->schema);
}

static void select_all(const struct load_wish *w, const struct toc *t, struct load_selection *s)
{
	for (size_t i = 0; i < t->entries; i++) {
		const struct toc_entry *e = &t->entry[i];

		s->pick[i] = e->part != TOC_DATA && !is_done_elsewhere(e);
		if (toc_is(e, "FK CONSTRAINT"))
			keep_key(w, t, e, s);
	}
}

/* ---- some tables ---- */

static bool is_asked(const struct load_wish *w, const struct toc_entry *e)
{
	bool asked = false;

	for (size_t i = 0; i < w->asks; i++) {
		const struct object_name *n = &w->asked[i];

		if (!strcmp(n->schema, e->schema) && !strcmp(n->table, e->tag)) {
			w->asked_found[i] = true;
			asked = true;
		}
	}
	return asked;
}

/* The parent in an entry that attaches a partition; NULL: it is no such entry of this child. */
static const struct toc_entry *attached_to(const struct toc *t, const struct toc_entry *attach, const struct toc_entry *child)
{
	for (size_t i = 0; i < attach->deps; i++) {
		const struct toc_entry *d = toc_by_id(t, attach->dep[i]);

		if (d && d != child && is_table(d))
			return d;
	}
	return NULL;
}

static void mark_tables(struct picker *p)
{
	const struct toc *t = p->t;
	CLEANUP(strlist_release) struct strlist wanted = STRLIST_INIT;
	bool more = true;

	for (size_t i = 0; i < p->w->tables; i++)
		if (!p->w->table[i].large_objects && !p->w->table[i].direct)
			strlist_take(&wanted, xasprintf("%s\001%s", p->w->table[i].schema, p->w->table[i].name));
	strlist_sort(&wanted);
	for (size_t i = 0; i < t->entries; i++) {
		const struct toc_entry *e = &t->entry[i];
		CLEANUP(cstr_release) char *key = is_table(e) ? xasprintf("%s\001%s", e->schema, e->tag) : NULL;

		if (key)
			p->table[i] = is_asked(p->w, e) || sorted_has(&wanted, key);
	}
	/* What is made under another name, like one that is there, needs nothing of the dump. */
	for (size_t i = 0; i < p->w->tables; i++) {
		const struct load_table *l = &p->w->table[i];
		const struct toc_entry *e = l->direct ? toc_find(t, "TABLE", l->schema, l->name) : NULL;

		if (e)
			p->table[index_of(t, e)] = false;
	}
	while (more) {
		more = false;
		for (size_t i = 0; i < t->entries; i++) {
			const struct toc_entry *e = &t->entry[i];
			const struct toc_entry *child = toc_is(e, "TABLE ATTACH") ? toc_find(t, "TABLE", e->schema, e->tag) : NULL;
			const struct toc_entry *parent = child ? attached_to(t, e, child) : NULL;

			if (parent && p->table[index_of(t, parent)] && !p->table[index_of(t, child)])
				more = p->table[index_of(t, child)] = true;
		}
	}
}

static void pick(struct picker *p, const struct toc_entry *e)
{
	size_t i = index_of(p->t, e);

	if (p->s->pick[i])
		return;
	p->s->pick[i] = true;
	p->todo[p->todos++] = i;
}

static bool any_dep(const struct picker *p, const struct toc_entry *e, const bool *set)
{
	for (size_t i = 0; i < e->deps; i++) {
		const struct toc_entry *d = toc_by_id(p->t, e->dep[i]);

		if (d && set[index_of(p->t, d)])
			return true;
	}
	return false;
}

static bool is_one_of(const struct toc_entry *e, const char *const *kinds)
{
	while (*kinds && !toc_is(e, *kinds))
		kinds++;
	return *kinds;
}

static void pick_key(struct picker *p, const struct toc_entry *e)
{
	for (size_t i = 0; i < e->deps; i++) {
		const struct toc_entry *d = toc_by_id(p->t, e->dep[i]);

		if (d && is_table(d) && !p->table[index_of(p->t, d)] && !load_exists(&p->there, d)) {
			leave_out(p->s, e, d, "is not there");
			return;
		}
	}
	pick(p, e);
}

/* What belongs to a table: it has no meaning without it. */
static void pick_parts(struct picker *p)
{
	static const char *const named[] = {"DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE",
					    "POLICY", NULL};
	static const char *const depending[] = {"INDEX", "STATISTICS", "ROW SECURITY", "SEQUENCE", "SEQUENCE OWNED BY", NULL};

	for (size_t i = 0; i < p->t->entries; i++) {
		const struct toc_entry *e = &p->t->entry[i];
		const struct toc_entry *own = is_one_of(e, named) ? own_table(p->t, e) : NULL;

		if (p->table[i]) {
			pick(p, e);
		} else if (toc_is(e, "TABLE ATTACH")) {
			const struct toc_entry *child = toc_find(p->t, "TABLE", e->schema, e->tag);
			const struct toc_entry *parent = child ? attached_to(p->t, e, child) : NULL;

			if (parent && p->table[index_of(p->t, child)] &&
			    (p->table[index_of(p->t, parent)] || load_exists(&p->there, parent)))
				pick(p, e);
		} else if (own && p->table[index_of(p->t, own)]) {
			if (toc_is(e, "FK CONSTRAINT"))
				pick_key(p, e);
			else
				pick(p, e);
		} else if (is_one_of(e, depending) && any_dep(p, e, p->table)) {
			pick(p, e);
		}
	}
}

/* What those need in turn and the target lacks: schemas, types, functions, sequences ... */
static void pick_needs(struct picker *p)
{
	while (p->todos) {
		const struct toc_entry *e = &p->t->entry[p->todo[--p->todos]];

		for (size_t i = 0; i < e->deps; i++) {
			const struct toc_entry *d = toc_by_id(p->t, e->dep[i]);

			if (!d || d->part != TOC_PRE || p->s->pick[index_of(p->t, d)] || toc_is(d, "TABLE ATTACH") ||
			    load_exists(&p->there, d))
				continue;
			/* Tables that are made like another are there under a new name only. */
			CLEANUP(cstr_release) char *name = shown_name(d);
			if (!toc_is(d, "SEQUENCE") && !toc_is(d, "DEFAULT"))
				strlist_take(&p->s->brought, xasprintf("%s %s comes along: it is needed and not there", d->desc,
								       name));
			pick(p, d);
		}
		/* The schema of an entry is not always among its dependencies. */
		const struct toc_entry *ns = *e->schema ? toc_find(p->t, "SCHEMA", NULL, e->schema) : NULL;
		if (ns && !load_exists(&p->there, ns))
			pick(p, ns);
	}
}

static bool all_deps(const struct picker *p, const struct toc_entry *e)
{
	for (size_t i = 0; i < e->deps; i++) {
		const struct toc_entry *d = toc_by_id(p->t, e->dep[i]);

		if (d && !p->s->pick[index_of(p->t, d)])
			return false;
	}
	return e->deps > 0;
}

static void pick_remarks(struct picker *p)
{
	static const char *const remarks[] = {"COMMENT", "SECURITY LABEL", "ACL", NULL};

	for (size_t i = 0; i < p->t->entries; i++) {
		const struct toc_entry *e = &p->t->entry[i];

		if (toc_is(e, "INDEX ATTACH") || toc_is(e, "SEQUENCE OWNED BY"))
			p->s->pick[i] = all_deps(p, e);
		else if (is_one_of(e, remarks) && any_dep(p, e, p->s->pick))
			p->s->pick[i] = true;
	}
}

static enum status check_found(const struct picker *p, struct error *err)
{
	for (size_t i = 0; i < p->w->asks; i++)
		if (!p->w->asked_found[i])
			return error_set(err, ST_NOT_FOUND, "the backup of the database %s has no table %s.%s", p->w->scope,
					 p->w->asked[i].schema,
					 p->w->asked[i].table);
	return ST_OK;
}

static enum status select_tables(struct run *run, struct conn *c, struct picker *p, struct error *err)
{
	p->table = xcalloc(p->t->entries + 1, sizeof *p->table);
	p->todo = xcalloc(p->t->entries + 1, sizeof *p->todo);
	if (c && load_existing(run, c, &p->there, err))
		return err->code;
	mark_tables(p);
	if (check_found(p, err))
		return err->code;
	pick_parts(p);
	pick_needs(p);
	pick_remarks(p);
	return ST_OK;
}

enum status load_select(struct run *run, struct conn *c, const struct load_wish *w, const struct toc *t, struct load_selection *s,
			struct error *err)
{
	CLEANUP(picker_release) struct picker p = {.w = w, .t = t, .s = s};

	s->pick = xcalloc(t->entries + 1, sizeof *s->pick);
	if (w->mode == LOAD_DATABASE)
		select_all(w, t, s);
	return w->mode == LOAD_TABLES ? select_tables(run, c, &p, err) : ST_OK;
}
