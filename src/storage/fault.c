/* The fault wrapper of the test build: a storage in front of another one that fails as told. Nothing of it is in a release.
 *
 *	DRTOOL_STORE_FAULT = RULE[,RULE]...
 *	RULE               = [STORE@]OP[[KEYPART]]:WHEN:WHAT[:once]
 *
 * STORE    a part of the store's URL, where several stores are open (default: every store)
 * OP       open | write | finish | get | stat | list | delete | uncommitted | space | caps
 * KEYPART  in brackets: only calls whose key (for list: prefix) contains it
 * WHEN     write: acts at the write that would pass WHEN bytes, counted over all writes of this store that the rule looks at; the
 *          part below WHEN is written. Others: acts at the WHENth call, from 1.
 * WHAT     EIO ENOSPC EACCES EROFS    fails as the kernel would
 *          unreachable                 ST_UNREACHABLE, retry
 *          precondition  retained      ST_PRECONDITION, ST_RETAINED
 *          stall                       takes nothing more, but heeds deadline and cancel, as a good storage does
 *          hang                        as a thread in write(2) on a dead NFS: heeds nothing, for ever
 *          flip                        get: one bit in the middle of what was read is other; write: of what is stored
 *          short                       get: ST_BAD, as if the object were cut there; write: the rest is silently dropped
 *          kill                        SIGKILL of the process
 *          lost                        finish: the object is there, and the answer that says so is lost
 *          none                        caps: the store has no conditions, says so, and takes no heed of them (whatever WHEN is)
 * once     only that call; default: from then on
 *
 * Examples: write:1048576:ENOSPC   offsite@finish:1:EIO   get[.tar.gz]:3:flip:once   write[backup/]:50000000:stall */
#include "storage/storage.h"

#ifdef DRTOOL_TEST

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum op { OP_OPEN, OP_WRITE, OP_FINISH, OP_GET, OP_STAT, OP_LIST, OP_DELETE, OP_UNCOMMITTED, OP_SPACE, OP_CAPS, OPS };
static const char *const op_names[OPS] = {"open", "write", "finish", "get", "stat", "list", "delete", "uncommitted", "space", "caps"};

enum what { W_ERRNO, W_UNREACHABLE, W_PRECONDITION, W_RETAINED, W_STALL, W_HANG, W_FLIP, W_SHORT, W_KILL, W_LOST, W_NONE };
static const struct {
	const char *name;
	enum what what;
	int errnum;
} whats[] = {
	{"EIO", W_ERRNO, EIO},
	{"ENOSPC", W_ERRNO, ENOSPC},
	{"EACCES", W_ERRNO, EACCES},
	{"EROFS", W_ERRNO, EROFS},
	{"unreachable", W_UNREACHABLE, 0},
	{"precondition", W_PRECONDITION, 0},
	{"retained", W_RETAINED, 0},
	{"stall", W_STALL, 0},
	{"hang", W_HANG, 0},
	{"flip", W_FLIP, 0},
	{"short", W_SHORT, 0},
	{"kill", W_KILL, 0},
	{"lost", W_LOST, 0},
	{"none", W_NONE, 0},
};

#define RULES_MAX 16
struct rule {
	enum op op;
	char *key_part; /* NULL: any */
	uint64_t when;
	size_t what; /* into whats */
	bool once;
	_Atomic uint64_t count; /* calls or bytes so far */
	atomic_bool spent;
};

struct fault {
	const struct storage_ops *inner;
	void *inner_priv;
	struct storage_ops table; /* that of inner with the functions below */
	struct rule rule[RULES_MAX];
	size_t rules;
};

/* What a caller of put functions holds; the inner put and the key that rules look at. */
struct fault_put {
	struct fault *f;
	struct storage_put *inner;
	char *key;
	bool dropping;
};

static bool parse_word(const char *s, const char *const *names, size_t n, size_t *at)
{
	for (*at = 0; *at < n; (*at)++)
		if (!strcmp(s, names[*at]))
			return true;
	return false;
}

static bool parse_what(const char *s, size_t *at)
{
	for (*at = 0; *at < ARRAY_LEN(whats); (*at)++)
		if (!strcmp(s, whats[*at].name))
			return true;
	return false;
}

/* Reads one rule, cutting the text. False: it is none. */
static bool parse_rule(char *text, struct rule *r)
{
	char *save, *end, *op = strtok_r(text, ":", &save), *when = strtok_r(NULL, ":", &save), *what = strtok_r(NULL, ":", &save);
	char *once = strtok_r(NULL, ":", &save), *bracket = op ? strchr(op, '[') : NULL;
	size_t index;

	if (!what || (once && strcmp(once, "once")))
		return false;
	if (bracket) {
		*bracket++ = 0;
		bracket[strcspn(bracket, "]")] = 0;
		r->key_part = xstrdup(bracket);
	}
	r->when = strtoull(when, &end, 10);
	r->once = once != NULL;
	if (*end || !parse_word(op, op_names, OPS, &index) || !parse_what(what, &r->what))
		return false;
	r->op = (enum op)index;
	return true;
}

static void parse_rules(struct fault *f, const char *text, const char *url)
{
	char *copy = xstrdup(text), *save;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *shown = xstrdup(p), *at = strchr(p, '@');
		bool ours = true;

		if (at) {
			*at = 0;
			ours = strstr(url, p) != NULL;
			p = at + 1;
		}
		if (f->rules == RULES_MAX || !parse_rule(p, &f->rule[f->rules])) {
			fprintf(stderr, "drtool: DRTOOL_STORE_FAULT has a rule that is none: %s\n", shown);
			exit(2);
		}
		free(shown);
		if (ours) {
			f->rules++;
		} else {
			free(f->rule[f->rules].key_part);
			f->rule[f->rules].key_part = NULL;
		}
	}
	free(copy);
}

static void hang(void)
{
	for (;;)
		pause();
}

static enum status stall(struct run *run, struct error *err)
{
	while (!run_sleep(run, DURATION_SECONDS(3600), err))
		;
	return err->code;
}

/* Does what the rule says, where that is the same for every function. FLIP and SHORT are left to the caller. */
static enum status act(struct run *run, const struct rule *r, const char *key, struct error *err)
{
	switch (whats[r->what].what) {
	case W_ERRNO:
		return error_errno(err, whats[r->what].errnum, "%s: injected fault at %s", key, op_names[r->op]);
	case W_UNREACHABLE:
		error_set(err, ST_UNREACHABLE, "%s: injected: the store does not answer", key);
		err->retry = true;
		return err->code;
	case W_PRECONDITION:
		return error_set(err, ST_PRECONDITION, "%s: injected: was changed by somebody else", key);
	case W_RETAINED:
		return error_set(err, ST_RETAINED, "%s: injected: retained until 2030-01-01T00:00:00Z", key);
	case W_STALL:
		return stall(run, err);
	case W_HANG:
		hang();
		break;
	case W_KILL:
		raise(SIGKILL);
		break;
	case W_FLIP:
	case W_SHORT:
	case W_LOST:
	case W_NONE:
		break;
	}
	return ST_OK;
}

/* The rule that acts at this call, or NULL. n: calls or bytes it adds; *before: what there was. */
static struct rule *pick(struct fault *f, enum op op, const char *key, uint64_t n, uint64_t *before)
{
	struct rule *found = NULL;

	for (size_t i = 0; i < f->rules; i++) {
		struct rule *r = &f->rule[i];

		if (r->op != op || (r->key_part && !strstr(key, r->key_part)))
			continue;
		*before = atomic_fetch_add(&r->count, n);
		if (found || *before + n < r->when || (op == OP_WRITE && *before + n == r->when))
			continue;
		if (r->once && atomic_exchange(&r->spent, true))
			continue;
		found = r;
		if (op == OP_WRITE)
			break;
	}
	return found;
}

/* For all functions but those that look at bytes. */
static enum status pass(struct run *run, struct fault *f, enum op op, const char *key, struct error *err)
{
	uint64_t before;
	const struct rule *r = pick(f, op, key, 1, &before);

	return r ? act(run, r, key, err) : ST_OK;
}

static bool unconditional(const struct fault *f)
{
	for (size_t i = 0; i < f->rules; i++)
		if (f->rule[i].op == OP_CAPS)
			return true;
	return false;
}

static enum status fault_open(struct run *run UNUSED, void *priv UNUSED, const char *url UNUSED, const void *params UNUSED,
			      struct error *err)
{
	return error_set(err, ST_FAILED, "the fault wrapper is put around an open storage");
}

static void fault_close(void *priv)
{
	struct fault *f = priv;

	f->inner->close(f->inner_priv);
	free(f->inner_priv);
	for (size_t i = 0; i < f->rules; i++)
		free(f->rule[i].key_part);
}

static enum status fault_put_open(struct run *run, void *priv, const struct put_spec *spec, struct storage_put **put,
				  struct error *err)
{
	struct fault *f = priv;
	struct storage_put *inner;

	struct put_spec passed = *spec;

	if (unconditional(f))
		passed.condition = PUT_ANY;
	if (pass(run, f, OP_OPEN, spec->key, err) || f->inner->put_open(run, f->inner_priv, &passed, &inner, err))
		return err->code;
	struct fault_put *p = xcalloc(1, sizeof *p);
	*p = (struct fault_put){.f = f, .inner = inner, .key = xstrdup(spec->key)};
	*put = (struct storage_put *)(void *)p;
	return ST_OK;
}

static enum status write_flipped(struct run *run, struct fault_put *p, const void *bytes, size_t n, struct error *err)
{
	char *copy = xmemdup(bytes, n);

	copy[n / 2] ^= 1;
	enum status st = p->f->inner->put_write(run, p->inner, copy, n, err);
	free(copy);
	return st;
}

static enum status fault_put_write(struct run *run, struct storage_put *put, const void *bytes, size_t n, struct error *err)
{
	struct fault_put *p = (struct fault_put *)(void *)put;
	const struct storage_ops *inner = p->f->inner;
	uint64_t before;
	const struct rule *r = pick(p->f, OP_WRITE, p->key, n, &before);

	if (p->dropping)
		return ST_OK;
	if (!r || !n)
		return inner->put_write(run, p->inner, bytes, n, err);
	if (whats[r->what].what == W_FLIP)
		return write_flipped(run, p, bytes, n, err);
	size_t below = r->when > before ? (size_t)(r->when - before) : 0;
	if (below && inner->put_write(run, p->inner, bytes, min_size(below, n), err))
		return err->code;
	p->dropping = whats[r->what].what == W_SHORT;
	return act(run, r, p->key, err);
}

static void fault_put_free(struct fault_put *p)
{
	free(p->key);
	free(p);
}

static enum status fault_put_finish(struct run *run, struct storage_put *put, struct storage_object *o, struct error *err)
{
	struct fault_put *p = (struct fault_put *)(void *)put;
	const struct storage_ops *inner = p->f->inner;
	uint64_t before;
	const struct rule *r = pick(p->f, OP_FINISH, p->key, 1, &before);
	bool lost = r && whats[r->what].what == W_LOST;

	if (r && !lost && act(run, r, p->key, err))
		inner->put_abort(p->inner);
	else if (!inner->put_finish(run, p->inner, o, err) && lost)
		error_set(err, ST_UNREACHABLE, "%s: injected: the answer is lost", p->key);
	fault_put_free(p);
	return err->code;
}

static void fault_put_abort(struct storage_put *put)
{
	struct fault_put *p = (struct fault_put *)(void *)put;

	if (!p)
		return;
	p->f->inner->put_abort(p->inner);
	fault_put_free(p);
}

static enum status fault_get(struct run *run, void *priv, const char *key, uint64_t offset, void *to, size_t n, struct error *err)
{
	struct fault *f = priv;
	uint64_t before;
	const struct rule *r = pick(f, OP_GET, key, 1, &before);

	if (r && whats[r->what].what == W_SHORT)
		return error_set(err, ST_BAD, "%s: injected: is cut before %" PRIu64, key, offset + n);
	if ((r && act(run, r, key, err)) || f->inner->get(run, f->inner_priv, key, offset, to, n, err))
		return err->code;
	if (r && n && whats[r->what].what == W_FLIP)
		((unsigned char *)to)[n / 2] ^= 1;
	return ST_OK;
}

static enum status fault_stat(struct run *run, void *priv, const char *key, struct storage_object *o, struct error *err)
{
	struct fault *f = priv;

	return pass(run, f, OP_STAT, key, err) ? err->code : f->inner->stat(run, f->inner_priv, key, o, err);
}

static enum status fault_list(struct run *run, void *priv, const char *prefix, const char *start_after,
			      const struct storage_listing *l, struct error *err)
{
	struct fault *f = priv;

	return pass(run, f, OP_LIST, prefix, err) ? err->code : f->inner->list(run, f->inner_priv, prefix, start_after, l, err);
}

static enum status fault_delete(struct run *run, void *priv, const char *key, const char *token, struct error *err)
{
	struct fault *f = priv;

	if (pass(run, f, OP_DELETE, key, err))
		return err->code;
	return f->inner->delete(run, f->inner_priv, key, unconditional(f) ? NULL : token, err);
}

static enum status fault_uncommitted(struct run *run, void *priv, const char *prefix, struct instant abort_older,
				     const struct storage_listing *l, struct error *err)
{
	struct fault *f = priv;

	if (pass(run, f, OP_UNCOMMITTED, prefix, err))
		return err->code;
	return f->inner->uncommitted(run, f->inner_priv, prefix, abort_older, l, err);
}

static enum status fault_space(struct run *run, void *priv, uint64_t *free_bytes, uint64_t *total, struct error *err)
{
	struct fault *f = priv;

	return pass(run, f, OP_SPACE, "", err) ? err->code : f->inner->space(run, f->inner_priv, free_bytes, total, err);
}

/* What no rule looks at goes straight on. */
static enum status fault_caps(struct run *run, void *priv, uint32_t *caps, struct error *err)
{
	struct fault *f = priv;

	if (f->inner->caps_now && f->inner->caps_now(run, f->inner_priv, caps, err))
		return err->code;
	if (unconditional(f))
		*caps &= ~(uint32_t)(STORAGE_ABSENT | STORAGE_MATCHES);
	return ST_OK;
}

static char *fault_url(void *priv)
{
	struct fault *f = priv;

	return f->inner->url(f->inner_priv);
}

static uint64_t fault_object_max(void *priv)
{
	struct fault *f = priv;

	return f->inner->object_max(f->inner_priv);
}

static struct duration fault_retention(void *priv)
{
	struct fault *f = priv;

	return f->inner->retention(f->inner_priv);
}

static void fault_put_parts(void *priv, unsigned parts)
{
	struct fault *f = priv;

	f->inner->put_parts(f->inner_priv, parts);
}

static void fault_fetch_line(void *priv, const char *key, const char *file, struct buf *to)
{
	struct fault *f = priv;

	f->inner->fetch_line(f->inner_priv, key, file, to);
}

static enum status fault_versions(struct run *run, void *priv, const char *prefix, struct storage_versions *to, struct error *err)
{
	struct fault *f = priv;

	return pass(run, f, OP_LIST, prefix, err) ? err->code : f->inner->versions(run, f->inner_priv, prefix, to, err);
}

static enum status fault_version_delete(struct run *run, void *priv, const char *key, const char *id, struct error *err)
{
	struct fault *f = priv;

	return pass(run, f, OP_DELETE, key, err) ? err->code : f->inner->version_delete(run, f->inner_priv, key, id, err);
}

static enum status fault_remarks(struct run *run, void *priv, struct strlist *to, struct error *err)
{
	struct fault *f = priv;

	return f->inner->remarks(run, f->inner_priv, to, err);
}

/* Functions that the inner storage may lack. The defaults of get_whole and delete_many take the steps that rules look at. */
static void wrap_optional(struct storage_ops *t)
{
	t->space = t->space ? fault_space : NULL;
	t->versions = t->versions ? fault_versions : NULL;
	t->version_delete = t->version_delete ? fault_version_delete : NULL;
	t->caps_now = fault_caps;
	t->url = t->url ? fault_url : NULL;
	t->object_max = t->object_max ? fault_object_max : NULL;
	t->retention = t->retention ? fault_retention : NULL;
	t->put_parts = t->put_parts ? fault_put_parts : NULL;
	t->fetch_line = t->fetch_line ? fault_fetch_line : NULL;
	t->remarks = t->remarks ? fault_remarks : NULL;
	t->get_whole = NULL;
	t->delete_many = NULL;
}

const struct storage_ops *storage_fault_wrap(struct storage *s)
{
	struct fault *f = xcalloc(1, sizeof *f);
	const char *rules = getenv("DRTOOL_STORE_FAULT");

	f->inner = s->ops;
	f->inner_priv = s->priv;
	f->table = *s->ops;
	f->table.open = fault_open;
	f->table.close = fault_close;
	f->table.put_open = fault_put_open;
	f->table.put_write = fault_put_write;
	f->table.put_finish = fault_put_finish;
	f->table.put_abort = fault_put_abort;
	f->table.get = fault_get;
	f->table.stat = fault_stat;
	f->table.list = fault_list;
	f->table.delete = fault_delete;
	f->table.uncommitted = fault_uncommitted;
	wrap_optional(&f->table);
	if (rules)
		parse_rules(f, rules, s->url);
	s->priv = f;
	s->ops = &f->table;
	return s->ops;
}

#endif
